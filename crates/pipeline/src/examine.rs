//! From an image to what is known about it, and to the bytes that are published.

use std::path::Path;

use slipway_digest::Digest;
use slipway_experiment::{Pipeline, Publication};

use crate::difference_hash::DifferenceHash;
use crate::files::Spooled;
use crate::levels::Levels;
use crate::payloads::PayloadWriter;
use crate::picture::{Form, LARGEST, Picture};
use crate::record::{Fault, Good, Item, Kind, Part, Payload};
use crate::transform::Transformer;
use crate::{Result, transform};

/// Examines one image after the other.
pub(crate) struct Examiner {
    transformer: Transformer,
    /// If a rule asks for it.
    hash: Option<DifferenceHash>,
    form: Publication,
    /// See [`Examiner::keep`].
    payloads: PayloadWriter,
    /// What [`Payload::pack`] calls it.
    number: u32,
    /// Bytes of images and of the values of rows that were read.
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
    /// New payloads go into a file in `folder` that is the pack `number` as long as they have no other place.
    pub(crate) fn new(pipeline: &Pipeline, folder: &Path, number: u32) -> Result<Self> {
        Ok(Self {
            transformer: Transformer::new(&pipeline.transform),
            hash: pipeline.validate.near_duplicates.map(|_| DifferenceHash::default()),
            form: pipeline.publish,
            // image files are published in the order of their labels first
            payloads: PayloadWriter::new(folder, !matches!(pipeline.publish, Publication::Images))?,
            number,
            bytes: 0,
        })
    }

    /// The payloads of everything that was examined.
    pub(crate) fn finish(self) -> Result<Spooled> {
        self.payloads.finish()
    }

    /// Examines the bytes of an image file.
    pub(crate) fn file<'a>(&mut self, from: Origin<'a>, file: &[u8]) -> Result<Item<'a>> {
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
    pub(crate) fn levels<'a>(
        &mut self,
        from: Origin<'a>,
        [height, width]: [u32; 2],
        levels: &mut Vec<u8>,
    ) -> Result<Item<'a>> {
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

    fn picture<'a>(&mut self, from: Origin<'a>, picture: Picture, file: Option<(&[u8], Form)>) -> Result<Item<'a>> {
        self.examine(from, &mut Some(picture), file)
    }

    fn examine<'a>(
        &mut self,
        from: Origin<'a>,
        picture: &mut Option<Picture>,
        file: Option<(&[u8], Form)>,
    ) -> Result<Item<'a>> {
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
            (Publication::Idx(_), _) => self.keep(&result, &picture.levels, Kind::Levels)?,
            // an image is not published as a row, so the others are files of images
            (_, Some((file, form))) if !changed => {
                let kind = if form == Form::Png { Kind::Png } else { Kind::Jpeg };
                self.keep(&result, file, kind)?
            }
            _ => match picture.encode() {
                Ok(file) => self.keep(&result, &file, Kind::Png)?,
                Err(reason) => return Ok(fault(from, reason)),
            },
        };
        let good = Good {
            content,
            result,
            read,
            range,
            shape: [picture.height, picture.width, picture.channels.into()],
            hash: self.hash.as_mut().map(|hash| hash.of(picture)),
            levels: Levels::of(&picture.levels),
            payload,
        };
        Ok(Item { outcome: Ok(good), ..item(from) })
    }

    /// Takes the bytes that are published of an item, or become that.
    pub(crate) fn keep(&mut self, result: &Digest, bytes: &[u8], kind: Kind) -> Result<Payload> {
        let offset = self.payloads.add(result, bytes)?;
        Ok(Payload { pack: self.number, offset, length: bytes.len() as u32, kind })
    }
}

pub(crate) fn fault(from: Origin<'_>, reason: Fault) -> Item<'_> {
    Item { outcome: Err(reason), ..item(from) }
}

fn item(Origin { name, part, label }: Origin<'_>) -> Item<'_> {
    Item { name, part, label, outcome: Err(Fault::WrongPlace) }
}

/// The lowest and the highest level.
fn range(levels: &[u8]) -> [u8; 2] {
    // one after the other: each is vector instructions then
    [levels.iter().copied().fold(u8::MAX, u8::min), levels.iter().copied().fold(0, u8::max)]
}
