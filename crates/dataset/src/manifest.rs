//! A dataset's manifest: what it is and the digests of its blobs.

use serde::{Deserialize, Serialize};

use crate::{Digest, Error, Result};

/// What a dataset is. Its canonical JSON (fields in this order, no spaces, no line end) has the dataset's digest as its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The dataset's name.
    pub name: String,
    /// Format of the blobs: `idx`.
    pub format: String,
    /// Height and width of an image.
    pub shape: [usize; 2],
    /// How many labels there are: they are 0 to `classes - 1`.
    pub classes: usize,
    /// The three parts.
    pub splits: Splits,
}

/// The three parts of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splits {
    /// To train on.
    pub train: SplitBlobs,
    /// To validate with after each epoch.
    pub validation: SplitBlobs,
    /// That only the finished model sees.
    pub test: SplitBlobs,
}

/// The two blobs of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitBlobs {
    /// How many images, and labels.
    pub count: usize,
    /// An IDX file of `count` images.
    pub images: Blob,
    /// An IDX file of `count` labels.
    pub labels: Blob,
}

/// A file by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    /// Of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

impl Manifest {
    /// The bytes whose SHA-256 is the dataset's digest.
    ///
    /// # Errors
    /// Never for a manifest of this crate's making; serialising is fallible in its type only.
    pub fn canonical(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|error| Error::Inconsistent { name: self.name.clone(), reason: error.to_string() })
    }

    /// Reads a manifest whose digest has been verified.
    pub(crate) fn parse(digest: &Digest, bytes: &[u8]) -> Result<Self> {
        let unusable = |reason: String| Error::Manifest { digest: *digest, reason };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| unusable(error.to_string()))?;
        if manifest.format != "idx" {
            return Err(unusable(format!("its format is `{}`; this version reads `idx`", manifest.format)));
        }
        if manifest.shape.contains(&0) || !(1..=256).contains(&manifest.classes) {
            return Err(unusable(format!(
                "images of {:?} pixels in {} classes; there are 1 to 256 classes",
                manifest.shape, manifest.classes
            )));
        }
        Ok(manifest)
    }

    /// The three parts with their names.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &SplitBlobs)> {
        [("train", &self.splits.train), ("validation", &self.splits.validation), ("test", &self.splits.test)]
            .into_iter()
    }
}
