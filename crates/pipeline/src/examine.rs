//! From an image to what is known about it, and to the bytes that are published.

use std::path::Path;

use slipway_experiment::{Pipeline, Publication};

use crate::difference_hash::DifferenceHash;
use crate::levels::Levels;
use crate::pack::PackWriter;
use crate::picture::{Form, LARGEST, Picture};
use crate::record::{Fault, Good, Item, Kind, Part};
use crate::transform::Transformer;
use crate::{Result, transform};

/// Examines one image after the other.
pub(crate) struct Examiner {
    transformer: Transformer,
    hash: DifferenceHash,
    form: Publication,
    pub(crate) packs: PackWriter,
    /// Bytes of images that were read.
    pub(crate) bytes: u64,
}

/// Where an item is from, and what it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// Within its unit; empty if it is the whole unit.
    pub(crate) name: &'a str,
    pub(crate) part: Part,
    pub(crate) label: &'a str,
}

impl Examiner {
    /// New payloads go into packs in `folder`, whose numbers begin with `first`.
    pub(crate) fn new(pipeline: &Pipeline, folder: &Path, first: u32) -> Self {
        Self {
            transformer: Transformer::new(&pipeline.transform),
            hash: DifferenceHash::default(),
            form: pipeline.publish,
            packs: PackWriter::new(folder, first),
            bytes: 0,
        }
    }

    /// Examines the bytes of an image file.
    pub(crate) fn file(&mut self, from: Origin<'_>, file: &[u8]) -> Result<Item> {
        self.bytes += file.len() as u64;
        if file.len() as u64 > LARGEST {
            return Ok(fault(from, Fault::TooLarge(file.len() as u64)));
        }
        match Picture::decode(file) {
            Ok((picture, form)) => self.picture(from, picture, Some((file, form))),
            Err(reason) => Ok(fault(from, reason)),
        }
    }

    /// Examines grey levels.
    pub(crate) fn levels(&mut self, from: Origin<'_>, [height, width]: [u32; 2], levels: &mut Vec<u8>) -> Result<Item> {
        self.bytes += levels.len() as u64;
        let picture = Picture { height, width, channels: 1, levels: std::mem::take(levels) };
        let mut picture = Some(picture);
        let item = self.examine(from, &mut picture, None);
        // the buffer is used again
        if let Some(picture) = picture {
            *levels = picture.levels;
        }
        item
    }

    fn picture(&mut self, from: Origin<'_>, picture: Picture, file: Option<(&[u8], Form)>) -> Result<Item> {
        self.examine(from, &mut Some(picture), file)
    }

    fn examine(
        &mut self,
        from: Origin<'_>,
        picture: &mut Option<Picture>,
        file: Option<(&[u8], Form)>,
    ) -> Result<Item> {
        let Some(picture) = picture else { return Ok(fault(from, Fault::NotAnImage)) };
        if picture.levels.is_empty() {
            return Ok(fault(from, Fault::Unreadable("it has no pixels".to_owned())));
        }
        let content = picture.digest();
        let read = [picture.height, picture.width];
        let range = range(&picture.levels);
        let mut changed = self.transformer.apply(picture);
        if matches!(self.form, Publication::Idx(_)) && picture.channels != 1 {
            picture.levels = transform::grey(picture);
            picture.channels = 1;
            changed = true;
        }
        let result = if changed { picture.digest() } else { content };
        let payload = match (self.form, file) {
            (Publication::Idx(_), _) => self.packs.append(&picture.levels, Kind::Levels)?,
            // an image is not published as a row, so the others are files of images
            (_, Some((file, form))) if !changed => {
                let kind = if form == Form::Png { Kind::Png } else { Kind::Jpeg };
                self.packs.append(file, kind)?
            }
            _ => match picture.encode() {
                Ok(file) => self.packs.append(&file, Kind::Png)?,
                Err(reason) => return Ok(fault(from, reason)),
            },
        };
        let good = Good {
            content,
            result,
            read,
            range,
            shape: [picture.height, picture.width, picture.channels.into()],
            hash: self.hash.of(picture),
            levels: Levels::of(&picture.levels),
            payload,
        };
        Ok(Item { outcome: Ok(good), ..item(from) })
    }
}

pub(crate) fn fault(from: Origin<'_>, reason: Fault) -> Item {
    Item { outcome: Err(reason), ..item(from) }
}

fn item(Origin { name, part, label }: Origin<'_>) -> Item {
    Item { name: name.to_owned(), part, label: label.to_owned(), outcome: Err(Fault::WrongPlace) }
}

/// The lowest and the highest level.
fn range(levels: &[u8]) -> [u8; 2] {
    // one after the other: each is vector instructions then
    [levels.iter().copied().fold(u8::MAX, u8::min), levels.iter().copied().fold(0, u8::max)]
}
