//! A verified dataset in memory.

use crate::idx::Images;
use crate::{Digest, Error, Idx, Result};

/// A dataset in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// The name that its manifest gives it.
    pub name: String,
    /// SHA-256 of its manifest.
    pub digest: Digest,
    /// Height and width of an image.
    pub shape: [usize; 2],
    /// The number of classes: labels are 0 to `classes - 1`.
    pub classes: usize,
    /// The images to train on.
    pub train: Split,
    /// The images to validate with after each epoch.
    pub validation: Split,
    /// The images that only the finished model sees.
    pub test: Split,
}

/// Images and their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// `count × height × width` bytes, row by row: 0 is paper, 255 is ink.
    pub images: Vec<u8>,
    /// `count` labels.
    pub labels: Vec<u8>,
    /// The number of images.
    pub count: usize,
}

impl Split {
    /// Checks that a manifest's blobs hold what the manifest says.
    pub(crate) fn checked(
        name: &str,
        content: &Idx,
        part: &str,
        count: usize,
        images: Images,
        labels: Vec<u8>,
    ) -> Result<Self> {
        let wrong = |reason: String| Error::Inconsistent { name: name.to_owned(), reason };
        if [images.height, images.width] != content.shape {
            return Err(wrong(format!(
                "{part}/images has images of {} × {}, its manifest says {:?}",
                images.height, images.width, content.shape
            )));
        }
        if images.count != count || labels.len() != count {
            return Err(wrong(format!(
                "{part} has {} images and {} labels, its manifest says {count}",
                images.count,
                labels.len()
            )));
        }
        if let Some(label) = labels.iter().find(|label| usize::from(**label) >= content.classes) {
            return Err(wrong(format!(
                "{part}/labels has the label {label}, but there are {} classes",
                content.classes
            )));
        }
        Ok(Self { images: images.pixels, labels, count })
    }
}
