//! The blobs of a split: IDX files, an archive of image files, or a table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slipway_dataset::{Blob, FileBlob, IdxBlobs, archive};
use slipway_digest::Digest;
use slipway_experiment::Publication;
use slipway_sources::{Cell, TableWriter};

use crate::files::{Hashed, Made, Records, Spool, Spooled};
use crate::moves::Moves;
use crate::pack::Packs;
use crate::record::{Kind, Reader, Writer};
use crate::sort::Sorter;
use crate::split::Place;
use crate::table::Layout;
use crate::validate::Candidate;
use crate::{Error, Result};

/// The items of a split on their way, which come in the order of their results.
pub(crate) struct SplitList {
    place: Place,
    lines: Lines,
    /// Of image files, which are published in the order of their labels.
    by_label: Option<Sorter>,
    writer: Writer,
    count: u64,
    packs: BTreeSet<u32>,
    /// What decides the bytes of its blobs, beside the items.
    key: Vec<u8>,
}

/// The items of a split, in the order in which they are published.
struct Lines {
    file: Spool,
    /// Of what decides the bytes of its blobs.
    hash: slipway_digest::Hashing<std::io::Sink>,
}

/// What is after that in a line: where the item is, and its ordinal.
const WHERE: usize = 17 + 8;

impl Lines {
    fn add(&mut self, line: &[u8]) -> Result<()> {
        use std::io::Write as _;
        let hashed = self.hash.write_all(&line[..line.len() - WHERE]);
        hashed.map_err(|error| Error::temporary(Path::new("memory"), &error))?;
        self.file.record(line)
    }
}

/// The whole list, and under which key the store keeps its blobs.
pub(crate) struct Listed {
    pub(crate) place: Place,
    list: Spooled,
    pub(crate) count: u64,
    /// The packs that hold its items.
    pub(crate) packs: BTreeSet<u32>,
    pub(crate) key: Digest,
}

/// The blobs of a split, as the store keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Blobs {
    Idx { images: Blob, labels: Blob },
    Archive(Blob),
    Table(Blob),
}

impl Blobs {
    pub(crate) fn each(self) -> Vec<Blob> {
        match self {
            Self::Idx { images, labels } => vec![images, labels],
            Self::Archive(blob) | Self::Table(blob) => vec![blob],
        }
    }

    pub(crate) fn idx(self, count: u64) -> Option<IdxBlobs> {
        match self {
            Self::Idx { images, labels } => Some(IdxBlobs { count: count as usize, images, labels }),
            Self::Archive(_) | Self::Table(_) => None,
        }
    }

    pub(crate) fn archive(self, count: u64) -> Option<FileBlob> {
        match self {
            Self::Archive(file) => Some(FileBlob { count: count as usize, file }),
            Self::Idx { .. } | Self::Table(_) => None,
        }
    }

    pub(crate) fn table(self, count: u64) -> Option<FileBlob> {
        match self {
            Self::Table(file) => Some(FileBlob { count: count as usize, file }),
            Self::Idx { .. } | Self::Archive(_) => None,
        }
    }
}

impl SplitList {
    pub(crate) fn new(place: Place, form: Publication, layout: Option<&Layout>, folder: &Path) -> Result<Self> {
        let mut key = format!("slipway pipeline: split 1\0{form:?}\0").into_bytes();
        if let Some(layout) = layout {
            key.extend_from_slice(layout.published().as_bytes());
        }
        Ok(Self {
            place,
            lines: Lines { file: Spool::new(folder)?, hash: slipway_digest::Hashing::new(std::io::sink()) },
            by_label: matches!(form, Publication::Images).then(|| Sorter::new(folder)),
            writer: Writer::default(),
            count: 0,
            packs: BTreeSet::new(),
            key,
        })
    }

    pub(crate) fn add(&mut self, candidate: &Candidate, label: &str) -> Result<()> {
        let Candidate { result, class, payload, ordinal, .. } = candidate;
        self.count += 1;
        self.packs.insert(payload.pack);
        self.writer.clear();
        if self.by_label.is_some() {
            self.writer.raw(label.as_bytes()).u8(0);
        }
        self.writer.digest(result).u16(*class).u8(payload.kind as u8).text(label).payload(*payload).u64(*ordinal);
        match &mut self.by_label {
            Some(sorter) => sorter.push(&self.writer.bytes),
            None => self.lines.add(&self.writer.bytes),
        }
    }

    pub(crate) fn finish(mut self) -> Result<Listed> {
        if let Some(sorter) = self.by_label {
            let mut sorted = sorter.sorted()?;
            while let Some(record) = sorted.next()? {
                // no label has the byte that ends it here
                let label = record.iter().position(|byte| *byte == 0).unwrap_or_default();
                self.lines.add(&record[label + 1..])?;
            }
        }
        let (_, items, _) = self.lines.hash.finish();
        self.key.extend_from_slice(items.as_bytes());
        let (place, list, key) = (self.place, self.lines.file.finish()?, Digest::of(&self.key));
        Ok(Listed { place, list, count: self.count, packs: self.packs, key })
    }
}

/// Writes the blobs of several lists at the same time; gives those of each with their files. `moves` gets where each image is in them.
///
/// All lists are in the order of results. They take turns, a range of results each, so that what was read for one is there for the others.
pub(crate) fn assemble(
    lists: &[&Listed],
    form: Publication,
    layout: Option<&Layout>,
    packs: &mut Packs,
    moves: &mut Moves,
    folder: &Path,
) -> Result<Vec<(Blobs, Vec<Made>)>> {
    let first = moves.blobs();
    let assembly = |(list, number): (&&Listed, u32)| Assembly::new(list, number, form, layout, folder);
    let mut assemblies: Vec<Assembly<'_>> = lists.iter().zip(first..).map(assembly).collect::<Result<_>>()?;
    let mut bytes = Vec::new();
    for range in 0..=u8::MAX {
        for assembly in &mut assemblies {
            assembly.write(range, packs, moves, &mut bytes)?;
        }
    }
    assemblies.into_iter().map(|assembly| assembly.finish(moves)).collect()
}

/// The blobs of a list on their way.
struct Assembly<'a> {
    records: Records,
    /// Whether `records` is at an item that is not written.
    has_item: bool,
    /// What [`Moves`] calls the blob of its images.
    number: u32,
    output: Outputs<'a>,
    folder: &'a Path,
}

enum Outputs<'a> {
    Table { table: TableWriter<Output>, layout: &'a Layout, cells: Vec<Cell> },
    Idx { images: Hashed, labels: Hashed },
    Archive(archive::Writer<Output>),
}

impl<'a> Assembly<'a> {
    fn new(
        list: &Listed,
        number: u32,
        form: Publication,
        layout: Option<&'a Layout>,
        folder: &'a Path,
    ) -> Result<Self> {
        let output = match (form, layout) {
            (_, Some(layout)) => {
                let table = layout.writer(form, Output::new(folder)?)?;
                Outputs::Table { table, layout, cells: Vec::new() }
            }
            (Publication::Idx([height, width]), None) => {
                let (mut images, mut labels) = (Hashed::new(folder)?, Hashed::new(folder)?);
                let mut writer = Writer::default();
                let count = u32::try_from(list.count).map_err(|_| {
                    let message = format!("{} has {} images", list.place.name(), list.count);
                    Error::problem("spec.pipeline.publish", "too-large", message, "publish images in place of idx")
                })?;
                images.write(&writer.u32(0x0803).u32(count).u32(height).u32(width).bytes)?;
                labels.write(&writer.clear().u32(0x0801).u32(count).bytes)?;
                Outputs::Idx { images, labels }
            }
            // tables have a layout
            (Publication::Images | Publication::Csv | Publication::Parquet, None) => {
                Outputs::Archive(archive::Writer::new(Output::new(folder)?))
            }
        };
        let mut records = list.list.records()?;
        let has_item = records.advance()?;
        Ok(Self { records, has_item, number, output, folder })
    }

    /// Writes the next items, up to one whose result begins with more than `range`. What is read goes through `bytes`.
    fn write(&mut self, range: u8, packs: &mut Packs, moves: &mut Moves, bytes: &mut Vec<u8>) -> Result<()> {
        while self.has_item {
            let item = Line::read(self.records.record());
            if item.result.as_bytes()[0] > range {
                break;
            }
            packs.read(item.payload, bytes)?;
            match &mut self.output {
                Outputs::Table { table, layout, cells } => {
                    layout.cells(bytes, item.class, cells);
                    table.write(cells)?;
                }
                Outputs::Idx { images, labels } => {
                    moves.add(self.number, item.ordinal, images.size())?;
                    images.write(bytes)?;
                    // at most 256 classes are declared for this form
                    labels.write(&[item.class as u8])?;
                }
                Outputs::Archive(archive) => {
                    let ending = if item.payload.kind == Kind::Jpeg { "jpg" } else { "png" };
                    let name = format!("{}.{ending}", &item.result.hex()[..32]);
                    let appended = archive.append(item.label, &name, bytes.len() as u64, bytes.as_slice());
                    appended.map_err(|error| Error::temporary(self.folder, &error))?;
                    // what came last is the file, in blocks
                    let length = (bytes.len() as u64).next_multiple_of(archive::BLOCK);
                    moves.add(self.number, item.ordinal, archive.get_ref().file.size() - length)?;
                }
            }
            self.has_item = self.records.advance()?;
        }
        Ok(())
    }

    fn finish(self, moves: &mut Moves) -> Result<(Blobs, Vec<Made>)> {
        match self.output {
            Outputs::Table { table, .. } => {
                let made = table.finish()?.finish()?;
                Ok((Blobs::Table(made.blob), vec![made]))
            }
            Outputs::Idx { images, labels } => {
                let (images, labels) = (images.finish()?, labels.finish()?);
                moves.wrote(images.blob);
                Ok((Blobs::Idx { images: images.blob, labels: labels.blob }, vec![images, labels]))
            }
            Outputs::Archive(archive) => {
                let made = archive.finish().map_err(|error| Error::temporary(self.folder, &error))?.finish()?;
                moves.wrote(made.blob);
                Ok((Blobs::Archive(made.blob), vec![made]))
            }
        }
    }
}

/// An item of a list.
struct Line<'a> {
    result: Digest,
    class: u16,
    label: &'a str,
    payload: crate::record::Payload,
    ordinal: u64,
}

impl<'a> Line<'a> {
    fn read(record: &'a [u8]) -> Self {
        let mut reader = Reader { bytes: record };
        let mut read = || {
            let (result, class, _) = (reader.digest()?, reader.u16()?, reader.u8()?);
            Some(Self { result, class, label: reader.text()?, payload: reader.payload()?, ordinal: reader.u64()? })
        };
        read().unwrap_or_else(|| unreachable!("an item of a list is read as it was written"))
    }
}

/// What an archive or a table is written to.
pub(crate) struct Output {
    file: Hashed,
    folder: PathBuf,
}

impl Output {
    fn new(folder: &Path) -> Result<Self> {
        Ok(Self { file: Hashed::new(folder)?, folder: folder.to_owned() })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn finish(self) -> Result<Made> {
        self.file.finish()
    }
}

impl std::io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use crate::levels::Levels;
    use crate::payloads::PayloadWriter;
    use crate::record::{Part, Payload};

    const SIDE: u32 = 7;
    const SIZE: usize = (SIDE * SIDE) as usize;

    fn candidate(result: Digest, ordinal: u64, offset: u64) -> Candidate {
        Candidate {
            content: result,
            result,
            ordinal,
            class: (ordinal % 10) as u16,
            part: Part::Whole,
            hash: 0,
            levels: Levels::default(),
            shape: [SIDE, SIDE, 1],
            payload: Payload { pack: 0, offset, length: SIZE as u32, kind: Kind::Levels },
            before: None,
        }
    }

    #[test]
    fn splits_that_take_turns_have_their_own_items_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut payloads = PayloadWriter::new(folder, true).unwrap();
        let mut items: Vec<(Digest, u64, u64)> = Vec::new();
        for ordinal in 0..5000_u64 {
            let result = Digest::of(ordinal.to_le_bytes());
            items.push((result, ordinal, payloads.add(&result, &[ordinal as u8; SIZE]).unwrap()));
        }
        let payloads = payloads.finish().unwrap();
        items.sort_unstable();
        let mut lists =
            Place::ALL.map(|place| SplitList::new(place, Publication::Idx([SIDE; 2]), None, folder).unwrap());
        // one split has items of the first half of all results alone
        let place = |at: usize| if at.is_multiple_of(10) && at < 2500 { Place::Test } else { Place::ALL[at % 2] };
        for (at, &(result, ordinal, offset)) in items.iter().enumerate() {
            lists[place(at) as usize].add(&candidate(result, ordinal, offset), "x").unwrap();
        }
        let lists = lists.map(|list| list.finish().unwrap());
        let mut packs = Packs::default();
        packs.open(0, payloads.path()).unwrap();
        let mut moves = Moves::new(folder);
        let all = lists.each_ref();
        let assembled = assemble(&all, Publication::Idx([SIDE; 2]), None, &mut packs, &mut moves, folder).unwrap();
        assert_eq!((assembled.len(), moves.blobs()), (3, 3));
        for (list, (blobs, made)) in lists.iter().zip(&assembled) {
            let of_place = (0..items.len()).filter(|at| place(*at) == list.place).map(|at| items[at].1 as u8);
            let written = |made: &Made| std::fs::read(made.path()).unwrap();
            let (images, labels) = (written(&made[0]), written(&made[1]));
            assert_eq!(blobs.each(), [made[0].blob, made[1].blob]);
            assert_eq!(made[0].blob.digest, Digest::of(&images));
            assert_eq!(images.len(), 16 + SIZE * list.count as usize);
            assert!(images[16..].chunks_exact(SIZE).zip(of_place).all(|(image, level)| image == [level; SIZE]));
            assert_eq!(labels.len(), 8 + list.count as usize);
        }
    }
}
