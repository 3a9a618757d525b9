//! A dataset's manifest: what it is and the digests of its blobs.

use serde::{Deserialize, Serialize};

use crate::{Digest, Error, Result};

/// What a dataset is. Its canonical JSON (fields in this order, no spaces, no line end) has the dataset's digest as its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The dataset's name, such as `mnist-10k`.
    pub name: String,
    /// Format of the blobs: `idx`.
    pub format: String,
    /// Height and width of an image.
    pub shape: [usize; 2],
    /// The number of classes: labels are 0 to `classes - 1`.
    pub classes: usize,
    /// The splits.
    pub splits: Splits,
}

/// The three splits of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splits {
    /// The images to train on.
    pub train: SplitBlobs,
    /// The images to validate with after each epoch.
    pub validation: SplitBlobs,
    /// The images that only the finished model sees.
    pub test: SplitBlobs,
}

/// The two blobs of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitBlobs {
    /// The number of images, and of labels.
    pub count: usize,
    /// An IDX file of `count` images.
    pub images: Blob,
    /// An IDX file of `count` labels.
    pub labels: Blob,
}

/// A file, named by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Manifest {
    /// The bytes whose SHA-256 is the dataset's digest.
    ///
    /// # Errors
    /// Never for a manifest that this crate made: only the type of serialization is fallible.
    pub fn canonical(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|error| Error::Inconsistent { name: self.name.clone(), reason: error.to_string() })
    }

    /// Parses a manifest whose digest was verified.
    pub(crate) fn parse(digest: &Digest, bytes: &[u8]) -> Result<Self> {
        let unusable = |reason: String| Error::Manifest { digest: *digest, reason };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| unusable(error.to_string()))?;
        if manifest.format != "idx" {
            return Err(unusable(format!("its format is `{}`; this version reads `idx`", manifest.format)));
        }
        if manifest.shape.contains(&0) || !(1..=256).contains(&manifest.classes) {
            return Err(unusable(format!(
                "images of {:?} pixels in {} classes; images have pixels, and there are 1 to 256 classes",
                manifest.shape, manifest.classes
            )));
        }
        Ok(manifest)
    }

    /// The three splits with their names: `train`, `validation`, `test`.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &SplitBlobs)> {
        [("train", &self.splits.train), ("validation", &self.splits.validation), ("test", &self.splits.test)]
            .into_iter()
    }
}
