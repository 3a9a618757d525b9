//! Difference hashes of images that were read when no rule asked for them. They are made of what is published, so no source is read again.

use std::collections::BTreeSet;

use slipway_dataset::{Blob, Store};

use crate::Result;
use crate::build::Places;
use crate::difference_hash::DifferenceHash;
use crate::files::{Spool, Spooled};
use crate::index::{IndexReader, IndexWriter, Line};
use crate::pack::Packs;
use crate::picture::Picture;
use crate::record::{Good, Kind};

/// The same index, with a hash of every image; its images are in these packs.
pub(crate) async fn complete(
    index: &Spooled,
    packs: &[Option<Blob>],
    places: &Places,
    store: &Store,
) -> Result<Spooled> {
    let mut numbers = BTreeSet::new();
    let mut reader = IndexReader::open(index.path())?;
    while reader.advance()? {
        if let Line::Item(item) = reader.line()?
            && let Ok(Good { hash: None, payload, .. }) = item.outcome
        {
            numbers.insert(payload.pack);
        }
    }
    let mut opened = Packs::default();
    for number in numbers {
        if let Some(Some(blob)) = packs.get(number as usize) {
            opened.open(number, &store.fetch_file(*blob, &places.cache()).await?)?;
        }
    }
    let mut hash = DifferenceHash::default();
    let mut bytes = Vec::new();
    let mut completed = IndexWriter::new(Spool::new(&places.temporary)?);
    let mut reader = IndexReader::open(index.path())?;
    while reader.advance()? {
        match reader.line()? {
            Line::Unit { name, version, at } => completed.unit(name, version, at)?,
            Line::Item(mut item) => {
                if let Ok(good) = &mut item.outcome
                    && good.hash.is_none()
                {
                    opened.read(good.payload, &mut bytes)?;
                    let picture = picture(good, std::mem::take(&mut bytes)).ok_or_else(|| reader.damaged())?;
                    good.hash = Some(hash.of(&picture));
                    // the buffer is used again
                    bytes = picture.levels;
                }
                completed.item(&item)?;
            }
        }
    }
    completed.into_file().finish()
}

/// What a payload shows.
fn picture(good: &Good, bytes: Vec<u8>) -> Option<Picture> {
    let [height, width, _] = good.shape;
    match good.payload.kind {
        Kind::Levels => Some(Picture { height, width, channels: 1, levels: bytes }),
        Kind::Png | Kind::Jpeg => Picture::decode(&bytes).ok().map(|(picture, _)| picture),
        Kind::Row => None,
    }
}
