//! Where the payloads of an index are in the store: in the blobs of the published splits. What is not published as it was read is put into packs: images that
//! are set aside, and the values of rows, of which text or columns are published.
//!
//! So each image is stored once, and not once for the index and once more for the split.

use std::path::Path;

use slipway_dataset::Blob;

use crate::Result;
use crate::files::{Hashed, Made};
use crate::index::{IndexReader, IndexWriter, Line};
use crate::pack::{PackWriter, Packs};
use crate::read::Readings;
use crate::record::Writer;
use crate::sort::{Lookup, Sorter};

/// Items that a build has published, and where.
pub(crate) struct Moves {
    by_ordinal: Sorter,
    writer: Writer,
    /// The blobs that hold them.
    packs: Vec<Blob>,
}

impl Moves {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { by_ordinal: Sorter::new(folder), writer: Writer::default(), packs: Vec::new() }
    }

    /// How many blobs are whole. Those that are being written have the numbers from there on, in the order in which they will be whole.
    pub(crate) fn blobs(&self) -> u32 {
        self.packs.len() as u32
    }

    /// The item is in the blob with this number, from this offset on.
    pub(crate) fn add(&mut self, pack: u32, ordinal: u64, offset: u64) -> Result<()> {
        self.by_ordinal.push(&self.writer.clear().u64(ordinal).u32(pack).u64(offset).bytes)
    }

    /// The next blob is whole.
    pub(crate) fn wrote(&mut self, blob: Blob) {
        self.packs.push(blob);
    }
}

/// An index for the store.
pub(crate) struct Settled {
    pub(crate) index: Made,
    /// The packs that it names, by their numbers.
    pub(crate) packs: Vec<Option<Blob>>,
    /// Those of them that are not in the store yet.
    pub(crate) made: Vec<Made>,
}

/// The index of what was read, with the places that its items have in the store. What was read in this run and has moved nowhere goes into new packs.
pub(crate) fn settle(readings: &Readings, moves: Moves, folder: &Path) -> Result<Settled> {
    let Moves { by_ordinal, packs: published, .. } = moves;
    let here = readings.packs.len() as u32;
    let mut packs: Vec<Option<Blob>> = readings.packs.iter().copied().chain(published.into_iter().map(Some)).collect();
    let mut used = vec![false; packs.len()];
    let mut payloads = Packs::default();
    payloads.open(here, readings.payloads.path())?;
    let mut rest = PackWriter::new(folder, packs.len() as u32);
    let mut moves = Lookup::new(by_ordinal.sorted()?, |record| Some((record.u32()?, record.u64()?)))?;
    let mut index = IndexWriter::new(Hashed::new(folder)?);
    let mut reader = IndexReader::open(readings.index.path())?;
    let mut bytes = Vec::new();
    while reader.advance()? {
        let mut item = match reader.line()? {
            Line::Item(item) => item,
            Line::Unit { name, version, at } => {
                index.unit(name, version, at)?;
                continue;
            }
        };
        if let Ok(good) = &mut item.outcome {
            let payload = &mut good.payload;
            if payload.pack > here {
                return Err(reader.damaged());
            }
            match moves.of(index.items)? {
                Some((pack, offset)) => (payload.pack, payload.offset) = (here + pack, offset),
                None if payload.pack == here => {
                    payloads.read(*payload, &mut bytes)?;
                    *payload = rest.append(&bytes, payload.kind)?;
                }
                None => {}
            }
            if let Some(used) = used.get_mut(payload.pack as usize) {
                *used = true;
            }
        }
        index.item(&item)?;
    }
    packs.iter_mut().zip(used).filter(|(_, used)| !used).for_each(|(pack, _)| *pack = None);
    let made = rest.finish()?;
    packs.extend(made.iter().map(|made| Some(made.blob)));
    Ok(Settled { index: index.into_file().finish()?, packs, made })
}
