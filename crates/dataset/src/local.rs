//! A dataset that was made on this machine, in the form in which it is stored.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use crate::idx::{self, Images};
use crate::manifest::{Blob, FileBlob, Format, Idx, IdxBlobs, Manifest, Splits};
use crate::split::{self, Sizes};
use crate::upload::Content;
use crate::{Digest, Error, Result};

/// A dataset ready to be pushed: its manifest and its blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LocalDataset {
    manifest: Manifest,
    canonical: Bytes,
    digest: Digest,
    /// In the manifest's order.
    blobs: Vec<Stored>,
}

/// Where a blob is until it is pushed.
#[derive(Debug, Clone)]
pub(crate) enum Stored {
    Memory(Bytes),
    /// A file of a folder that exists as long as it is needed.
    File(PathBuf, Arc<TempDir>),
}

impl LocalDataset {
    /// Splits images and labels (see [`split::stratified`]) and encodes each part as IDX. The same input gives the same
    /// bytes, and so the same digest, everywhere.
    ///
    /// # Errors
    /// If there are more or fewer labels than images, a label is not below `classes`, or the split cannot be made.
    pub fn new(name: &str, classes: usize, images: &Images, labels: &[u8], sizes: Sizes, seed: u64) -> Result<Self> {
        check(name, classes, images, labels)?;
        let indices = split::stratified(labels, sizes, seed)?;
        let part = |indices: &[usize]| select(images, labels, indices);
        let parts =
            Splits { train: part(&indices.train), validation: part(&indices.validation), test: part(&indices.test) };
        Self::of_images(name, classes, None, &parts)
    }

    /// Encodes the images and labels of each split as IDX, in their order.
    ///
    /// # Errors
    /// If a split has more or fewer labels than images, a label is not below `classes`, or images differ in size.
    pub fn of_images(
        name: &str,
        classes: usize,
        labels: Option<Vec<String>>,
        parts: &Splits<(Images, Vec<u8>)>,
    ) -> Result<Self> {
        let shape = [parts.train.0.height, parts.train.0.width];
        let mut blobs = Vec::new();
        let mut encode = |(images, labels): &(Images, Vec<u8>)| -> Result<IdxBlobs> {
            check(name, classes, images, labels)?;
            if [images.height, images.width] != shape {
                let reason = format!("it has images of {} × {} and of {shape:?}", images.height, images.width);
                return Err(Error::Inconsistent { name: name.to_owned(), reason });
            }
            let count = images.count;
            let encoded = [idx::write_images(images.height, images.width, &images.pixels)?, idx::write_labels(labels)?];
            let [images, labels] = encoded.map(|bytes| {
                let blob = Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 };
                blobs.push(Stored::Memory(Bytes::from(bytes)));
                blob
            });
            Ok(IdxBlobs { count, images, labels })
        };
        let splits =
            Splits { train: encode(&parts.train)?, validation: encode(&parts.validation)?, test: encode(&parts.test)? };
        Self::of(name, Format::Idx(Idx { shape, classes, labels, splits }), blobs)
    }

    /// A dataset of three files of `folder`, which is removed when the last clone is dropped; `count` examples are in each.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn of_files(
        name: &str,
        folder: TempDir,
        files: &Splits<(PathBuf, usize)>,
        format: impl FnOnce(Splits<FileBlob>) -> Format,
    ) -> Result<Self> {
        let folder = Arc::new(folder);
        let mut blobs = Vec::new();
        let mut describe = |(file, count): &(PathBuf, usize)| -> Result<FileBlob> {
            let (digest, size) = Digest::of_file(file).map_err(|error| Error::file("read", file, &error))?;
            blobs.push(Stored::File(file.clone(), folder.clone()));
            Ok(FileBlob { count: *count, file: Blob { digest, size } })
        };
        let splits = Splits {
            train: describe(&files.train)?,
            validation: describe(&files.validation)?,
            test: describe(&files.test)?,
        };
        Self::of(name, format(splits), blobs)
    }

    fn of(name: &str, content: Format, blobs: Vec<Stored>) -> Result<Self> {
        let manifest = Manifest { name: name.to_owned(), content };
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

    /// Every blob with where it is.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (Blob, Stored)> {
        self.manifest.blobs().map(|(_, blob)| blob).zip(self.blobs.clone())
    }
}

impl Stored {
    pub(crate) async fn open(self) -> Result<Content> {
        match self {
            Self::Memory(bytes) => Ok(Content::Bytes(bytes)),
            Self::File(path, _folder) => Content::open(&path).await,
        }
    }
}

/// Some of the images, in this order.
#[must_use]
pub fn select(images: &Images, labels: &[u8], indices: &[usize]) -> (Images, Vec<u8>) {
    let Images { height, width, ref pixels, .. } = *images;
    let size = height * width;
    let pixels = indices.iter().flat_map(|&index| &pixels[index * size..(index + 1) * size]).copied().collect();
    let labels = indices.iter().map(|&index| labels[index]).collect();
    (Images { count: indices.len(), height, width, pixels }, labels)
}

fn check(name: &str, classes: usize, images: &Images, labels: &[u8]) -> Result<()> {
    let wrong = |reason: String| Err(Error::Inconsistent { name: name.to_owned(), reason });
    let size = images.height * images.width;
    if images.count != labels.len() || images.pixels.len() != images.count * size {
        return wrong(format!(
            "it has {} images, {} labels, and {} pixels at {size} an image",
            images.count,
            labels.len(),
            images.pixels.len()
        ));
    }
    match labels.iter().find(|label| usize::from(**label) >= classes) {
        Some(label) => wrong(format!("it has the label {label}, but {classes} classes")),
        None => Ok(()),
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
