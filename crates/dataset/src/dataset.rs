//! A dataset in memory, every byte of it verified.

use crate::idx::Images;
use crate::{Digest, Error, Manifest, Result};

/// A dataset in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// SHA-256 of its manifest.
    pub digest: Digest,
    /// Height and width of an image.
    pub shape: [usize; 2],
    /// How many labels there are: they are 0 to `classes - 1`.
    pub classes: usize,
    /// To train on.
    pub train: Split,
    /// To validate with after each epoch.
    pub validation: Split,
    /// That only the finished model sees.
    pub test: Split,
}

/// Images and their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// `count × height × width` bytes, row by row: 0 is paper, 255 is ink.
    pub images: Vec<u8>,
    /// `count` labels.
    pub labels: Vec<u8>,
    /// How many.
    pub count: usize,
}

impl Split {
    /// Checks that what a manifest's blobs hold is what the manifest says of them.
    pub(crate) fn checked(
        manifest: &Manifest,
        part: &str,
        count: usize,
        images: Images,
        labels: Vec<u8>,
    ) -> Result<Self> {
        let wrong = |reason: String| Error::Inconsistent { name: manifest.name.clone(), reason };
        if [images.height, images.width] != manifest.shape {
            return Err(wrong(format!(
                "{part}/images has images of {} × {}, its manifest says {:?}",
                images.height, images.width, manifest.shape
            )));
        }
        if images.count != count || labels.len() != count {
            return Err(wrong(format!(
                "{part} has {} images and {} labels, its manifest says {count}",
                images.count,
                labels.len()
            )));
        }
        if let Some(label) = labels.iter().find(|label| usize::from(**label) >= manifest.classes) {
            return Err(wrong(format!(
                "{part}/labels has the label {label}, and there are {} classes",
                manifest.classes
            )));
        }
        Ok(Self { images: images.pixels, labels, count })
    }
}
