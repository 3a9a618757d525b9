//! A dataset made on this machine, in the form in which it is stored.

use crate::idx::{self, Images};
use crate::manifest::{Blob, Manifest, SplitBlobs, Splits};
use crate::split::{self, Sizes};
use crate::{Digest, Error, Result};

/// A dataset ready to be pushed: its manifest and its blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDataset {
    manifest: Manifest,
    canonical: Vec<u8>,
    digest: Digest,
    /// In the manifest's order: images and labels of train, validation, test.
    blobs: Vec<Vec<u8>>,
}

impl LocalDataset {
    /// Splits images and labels (see [`split::stratified`]) and writes each part in IDX form. The same input gives the same
    /// bytes, and so the same digest, everywhere.
    ///
    /// # Errors
    /// When the labels are not as many as the images, one is not below `classes`, or the split cannot be made.
    pub fn new(name: &str, classes: usize, images: &Images, labels: &[u8], sizes: Sizes, seed: u64) -> Result<Self> {
        let wrong = |reason: String| Error::Inconsistent { name: name.to_owned(), reason };
        let size = images.height * images.width;
        if images.count != labels.len() || images.pixels.len() != images.count * size {
            return Err(wrong(format!(
                "{} images, {} labels, {} pixels of {size} an image",
                images.count,
                labels.len(),
                images.pixels.len()
            )));
        }
        if let Some(label) = labels.iter().find(|label| usize::from(**label) >= classes) {
            return Err(wrong(format!("the label {label}, and {classes} classes")));
        }
        let indices = split::stratified(labels, sizes, seed)?;
        let mut blobs = Vec::new();
        let mut part = |indices: &[usize]| -> Result<SplitBlobs> {
            let pixels: Vec<u8> =
                indices.iter().flat_map(|&index| &images.pixels[index * size..(index + 1) * size]).copied().collect();
            let labels: Vec<u8> = indices.iter().map(|&index| labels[index]).collect();
            let (images, labels) =
                (idx::write_images(images.height, images.width, &pixels)?, idx::write_labels(&labels)?);
            let blob = |bytes: &[u8]| Blob { digest: Digest::of(bytes), size: bytes.len() as u64 };
            let described = SplitBlobs { count: indices.len(), images: blob(&images), labels: blob(&labels) };
            blobs.extend([images, labels]);
            Ok(described)
        };
        let splits =
            Splits { train: part(&indices.train)?, validation: part(&indices.validation)?, test: part(&indices.test)? };
        let manifest = Manifest {
            name: name.to_owned(),
            format: "idx".to_owned(),
            shape: [images.height, images.width],
            classes,
            splits,
        };
        let canonical = manifest.canonical()?;
        Ok(Self { digest: Digest::of(&canonical), manifest, canonical, blobs })
    }

    /// The dataset's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What it is.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// Every blob with its name within the dataset.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (String, Blob, &[u8])> {
        let described = self.manifest.parts().flat_map(|(name, part)| {
            [(format!("{name}/images"), part.images), (format!("{name}/labels"), part.labels)]
        });
        described.zip(&self.blobs).map(|((name, blob), bytes)| (name, blob, bytes.as_slice()))
    }
}
