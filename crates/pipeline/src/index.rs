//! The index: what reading each unit came to, in the order of the units' names. A header for each unit, then its items.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slipway_dataset::{Blob, Store};
use slipway_digest::Digest;
use slipway_experiment::{Dataset, Pipeline, Publication};

use crate::Result;
use crate::files::{Hashed, Made, Records};
use crate::record::{Item, Reader, Writer};
use crate::table::Layout;
use crate::unit::Unit;

/// What the store keeps of the step: where the index is, and the packs by their numbers. Packs that nothing names any more are left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) index: Blob,
    pub(crate) packs: Vec<Option<Blob>>,
}

/// Under which key the store keeps the step: by what decides what is known of an item and which bytes are published.
pub(crate) fn key(declaration: &Dataset, pipeline: &Pipeline) -> Digest {
    if let Some(layout) = Layout::of(&declaration.spec) {
        return Digest::of(format!("slipway pipeline: read rows 1\0{}\0{}", declaration.name, layout.key()));
    }
    let form = if matches!(pipeline.publish, Publication::Idx(_)) { "levels" } else { "files" };
    let transforms = &pipeline.transform;
    Digest::of(format!("slipway pipeline: read 1\0{}\0{form}\0{transforms:?}", declaration.name))
}

/// The index of an earlier build; `None` if there is none, or a part of it is gone.
pub(crate) async fn earlier(key: &Digest, store: &Store, cache: &Path) -> Result<Option<(Kept, PathBuf)>> {
    let Some(bytes) = store.step(key).await? else { return Ok(None) };
    let kept: Kept = match serde_json::from_slice(&bytes) {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!("what is kept of an earlier build is not usable, so everything is read: {error}");
            return Ok(None);
        }
    };
    for pack in kept.packs.iter().flatten() {
        if !store.has(*pack).await? {
            tracing::warn!("{} of an earlier build is not in the store, so everything is read", pack.digest);
            return Ok(None);
        }
    }
    match store.fetch_file(kept.index, cache).await {
        Ok(path) => Ok(Some((kept, path))),
        Err(error @ (slipway_dataset::Error::Missing { .. } | slipway_dataset::Error::DigestMismatch { .. })) => {
            tracing::warn!("the index of an earlier build is not usable, so everything is read: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes an index.
pub(crate) struct IndexWriter {
    file: Hashed,
    record: Writer,
    pub(crate) units: u64,
    pub(crate) items: u64,
}

impl IndexWriter {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        Ok(Self { file: Hashed::new(folder)?, record: Writer::default(), units: 0, items: 0 })
    }

    /// `at` is when it arrived, in seconds since 1970; 0 if nobody knows.
    pub(crate) fn unit(&mut self, name: &str, version: &str, at: i64) -> Result<()> {
        self.units += 1;
        self.record.clear().u8(0).text(name).text(version).u64(at.max(0).unsigned_abs());
        self.file.record(&self.record.bytes)
    }

    pub(crate) fn item(&mut self, item: &Item) -> Result<()> {
        self.items += 1;
        item.write(self.record.clear().u8(1));
        self.file.record(&self.record.bytes)
    }

    pub(crate) fn finish(self) -> Result<Made> {
        self.file.finish()
    }
}

/// A line of an index.
#[derive(Debug)]
pub(crate) enum Line {
    Unit { name: String, version: String, at: i64 },
    Item(Item),
}

/// The earlier of two times at which something arrived; 0 is not known.
pub(crate) fn earliest(one: i64, other: i64) -> i64 {
    if one > 0 && other > 0 { one.min(other) } else { one.max(other) }
}

/// Reads an index.
#[derive(Debug)]
pub(crate) struct IndexReader {
    records: Records,
}

impl IndexReader {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self { records: Records::open(path)? })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Line>> {
        let Some(record) = self.records.next()? else { return Ok(None) };
        let mut reader = Reader { bytes: record };
        let line = match reader.u8() {
            Some(0) => reader.text().zip(reader.text()).map(|(name, version)| {
                // an index of an earlier release has no time
                let at = reader.u64().and_then(|at| i64::try_from(at).ok()).unwrap_or_default();
                Line::Unit { name: name.to_owned(), version: version.to_owned(), at }
            }),
            Some(1) => Item::read(&mut reader).map(Line::Item),
            _ => None,
        };
        line.map_or_else(|| Err(self.records.damaged()), |line| Ok(Some(line)))
    }
}

/// The items of an index, in their order, with the whole name of each.
pub(crate) struct Items {
    reader: IndexReader,
    unit: String,
}

impl Items {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self { reader: IndexReader::open(path)?, unit: String::new() })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Item>> {
        loop {
            match self.reader.next()? {
                None => return Ok(None),
                Some(Line::Unit { name, .. }) => self.unit = name,
                Some(Line::Item(item)) => return Ok(Some(item)),
            }
        }
    }

    /// The whole name of the item that came last.
    pub(crate) fn name_of(&self, item: &Item) -> String {
        if item.name.is_empty() { self.unit.clone() } else { format!("{}, {}", self.unit, item.name) }
    }
}

/// An earlier index, of which units are taken in their order.
pub(crate) struct Earlier {
    reader: IndexReader,
    /// The unit whose items come next.
    unit: Option<(String, String, i64)>,
    pub(crate) packs: Vec<Option<Blob>>,
    /// Which packs items name that were taken.
    pub(crate) used: Vec<bool>,
}

impl Earlier {
    pub(crate) fn open(kept: Kept, path: &Path) -> Result<Self> {
        let used = vec![false; kept.packs.len()];
        let mut earlier = Self { reader: IndexReader::open(path)?, unit: None, packs: kept.packs, used };
        if let Some(Line::Unit { name, version, at }) = earlier.reader.next()? {
            earlier.unit = Some((name, version, at));
        }
        Ok(earlier)
    }

    /// Copies a unit if it is there with this version. Units are asked for in the order of their names.
    pub(crate) fn take(&mut self, unit: &Unit, to: &mut IndexWriter) -> Result<bool> {
        loop {
            let Some((name, version, at)) = &self.unit else { return Ok(false) };
            match name.as_str().cmp(unit.name.as_str()) {
                Ordering::Less => self.items(None)?,
                Ordering::Greater => return Ok(false),
                Ordering::Equal => {
                    let same = *version == unit.version;
                    if same {
                        // written again with the same content, it has been there since then
                        to.unit(&unit.name, &unit.version, earliest(*at, unit.at))?;
                    }
                    self.items(same.then_some(to))?;
                    return Ok(same);
                }
            }
        }
    }

    /// Copies or skips the items of the unit, up to the next one.
    fn items(&mut self, mut to: Option<&mut IndexWriter>) -> Result<()> {
        loop {
            match self.reader.next()? {
                Some(Line::Item(item)) => {
                    let Some(to) = &mut to else { continue };
                    if let Ok(good) = &item.outcome {
                        let used = self.used.get_mut(good.payload.pack as usize);
                        *used.ok_or_else(|| self.reader.records.damaged())? = true;
                    }
                    to.item(&item)?;
                }
                Some(Line::Unit { name, version, at }) => {
                    self.unit = Some((name, version, at));
                    return Ok(());
                }
                None => {
                    self.unit = None;
                    return Ok(());
                }
            }
        }
    }
}

/// One index of two that have no unit in common.
pub(crate) fn merge(one: Made, other: Made, folder: &Path) -> Result<Made> {
    if one.blob.size == 0 {
        return Ok(other);
    }
    if other.blob.size == 0 {
        return Ok(one);
    }
    let mut writer = IndexWriter::new(folder)?;
    let mut sides = [IndexReader::open(one.path())?, IndexReader::open(other.path())?];
    let mut units = [sides[0].next()?, sides[1].next()?];
    let name = |line: &Option<Line>| match line {
        Some(Line::Unit { name, .. }) => Some(name.clone()),
        _ => None,
    };
    loop {
        let side = match (name(&units[0]), name(&units[1])) {
            (None, None) => return writer.finish(),
            (Some(_), None) => 0,
            (None, Some(_)) => 1,
            (Some(first), Some(second)) => usize::from(second < first),
        };
        if let Some(Line::Unit { name, version, at }) = units[side].take() {
            writer.unit(&name, &version, at)?;
        }
        loop {
            match sides[side].next()? {
                Some(Line::Item(item)) => writer.item(&item)?,
                next => {
                    units[side] = next;
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use crate::record::Part;
    use crate::unit::UnitKind;

    /// When the only unit of an index arrived, after it was found again with this time.
    fn taken(index: &Made, at: i64, folder: &Path) -> i64 {
        let kept = Kept { index: index.blob, packs: Vec::new() };
        let mut earlier = Earlier::open(kept, index.path()).unwrap();
        let (name, version) = ("a".to_owned(), "1".to_owned());
        let unit = Unit { name, version, at, part: Part::Whole, kind: UnitKind::Npm };
        let mut writer = IndexWriter::new(folder).unwrap();
        assert!(earlier.take(&unit, &mut writer).unwrap());
        let made = writer.finish().unwrap();
        match IndexReader::open(made.path()).unwrap().next().unwrap() {
            Some(Line::Unit { at, .. }) => at,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_again_with_the_same_content_keeps_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = IndexWriter::new(folder.path()).unwrap();
        writer.unit("a", "1", 100).unwrap();
        let index = writer.finish().unwrap();
        assert_eq!((taken(&index, 200, folder.path()), taken(&index, 50, folder.path())), (100, 50));
        assert_eq!(taken(&index, 0, folder.path()), 100);
        // an index of an earlier release says no times
        let (mut file, mut record) = (Hashed::new(folder.path()).unwrap(), Writer::default());
        record.clear().u8(0).text("a").text("1");
        file.record(&record.bytes).unwrap();
        assert_eq!(taken(&file.finish().unwrap(), 200, folder.path()), 200);
    }
}
