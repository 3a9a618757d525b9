//! A dataset that was made on this machine, in the form in which it is stored.

use bytes::Bytes;

use crate::idx::{self, Images};
use crate::manifest::{Blob, Format, Idx, IdxBlobs, Manifest, Splits};
use crate::split::{self, Sizes};
use crate::{Digest, Error, Result};

/// A dataset ready to be pushed: its manifest and its blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDataset {
    manifest: Manifest,
    canonical: Bytes,
    digest: Digest,
    /// In the manifest's order: images and labels of train, validation, test.
    blobs: Vec<Bytes>,
}

impl LocalDataset {
    /// Splits images and labels (see [`split::stratified`]) and encodes each part as IDX. The same input gives the same
    /// bytes, and so the same digest, everywhere.
    ///
    /// # Errors
    /// If there are more or fewer labels than images, a label is not below `classes`, or the split cannot be made.
    pub fn new(name: &str, classes: usize, images: &Images, labels: &[u8], sizes: Sizes, seed: u64) -> Result<Self> {
        let wrong = |reason: String| Error::Inconsistent { name: name.to_owned(), reason };
        let size = images.height * images.width;
        if images.count != labels.len() || images.pixels.len() != images.count * size {
            return Err(wrong(format!(
                "it has {} images, {} labels, and {} pixels at {size} an image",
                images.count,
                labels.len(),
                images.pixels.len()
            )));
        }
        if let Some(label) = labels.iter().find(|label| usize::from(**label) >= classes) {
            return Err(wrong(format!("it has the label {label}, but {classes} classes")));
        }
        let indices = split::stratified(labels, sizes, seed)?;
        let mut blobs = Vec::new();
        let mut part = |indices: &[usize]| -> Result<IdxBlobs> {
            let pixels: Vec<u8> =
                indices.iter().flat_map(|&index| &images.pixels[index * size..(index + 1) * size]).copied().collect();
            let labels: Vec<u8> = indices.iter().map(|&index| labels[index]).collect();
            let (images, labels) =
                (idx::write_images(images.height, images.width, &pixels)?, idx::write_labels(&labels)?);
            let blob = |bytes: &[u8]| Blob { digest: Digest::of(bytes), size: bytes.len() as u64 };
            let described = IdxBlobs { count: indices.len(), images: blob(&images), labels: blob(&labels) };
            blobs.extend([images, labels].map(Bytes::from));
            Ok(described)
        };
        let splits =
            Splits { train: part(&indices.train)?, validation: part(&indices.validation)?, test: part(&indices.test)? };
        let manifest = Manifest {
            name: name.to_owned(),
            content: Format::Idx(Idx { shape: [images.height, images.width], classes, labels: None, splits }),
        };
        let canonical = Bytes::from(manifest.canonical()?);
        Ok(Self { digest: Digest::of(&canonical), manifest, canonical, blobs })
    }

    /// The dataset's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn canonical(&self) -> Bytes {
        self.canonical.clone()
    }

    /// Every blob with its name within the dataset.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (String, Blob, Bytes)> {
        let described = self.manifest.blobs();
        described.zip(&self.blobs).map(|((name, blob), bytes)| (name, blob, bytes.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_is_no_class_is_refused() {
        let of = |label: u8| {
            let labels: Vec<u8> = (0..10).chain(0..9).chain([label]).chain(0..10).collect();
            let images = Images { count: labels.len(), height: 1, width: 1, pixels: vec![7; labels.len()] };
            let sizes = Sizes { train: 10, validation: 10, test: 10 };
            LocalDataset::new("letters", 10, &images, &labels, sizes, 0)
        };
        assert_eq!(of(9).unwrap().manifest().classes(), Some(10));
        let refused = of(10).unwrap_err();
        assert!(matches!(refused, Error::Inconsistent { .. }), "{refused:?}");
        assert!(refused.to_string().contains("it has the label 10, but 10 classes"), "{refused}");
    }
}
