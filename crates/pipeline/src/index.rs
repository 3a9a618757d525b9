//! The index: what reading each unit came to, in the order of the units' names. A header for each unit, then its items.

use std::cmp::Ordering;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slipway_dataset::{Blob, Store};
use slipway_digest::Digest;
use slipway_experiment::{Dataset, Pipeline, Publication};

use crate::files::{Records, Spool, Spooled, Writing};
use crate::record::{Item, Reader, Writer};
use crate::table::Layout;
use crate::unit::Unit;
use crate::{Error, Result};

/// What the store keeps of the step: where the index is, and the packs by their numbers, which are blobs of published splits, and of
/// rows and images that are not there. Packs that nothing names any more are left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) index: Blob,
    pub(crate) packs: Vec<Option<Blob>>,
}

/// The form of the index. Every release reads those before its own.
const FORM: u8 = 2;

/// Under which key the store keeps the step: by what decides what is known of an item and which bytes are published.
pub(crate) fn key(declaration: &Dataset, pipeline: &Pipeline) -> Digest {
    key_of(FORM, declaration, pipeline)
}

/// That key, and then those of earlier releases: the first one that the store has is what the next build uses.
pub(crate) fn keys(declaration: &Dataset, pipeline: &Pipeline) -> impl Iterator<Item = Digest> {
    (1..=FORM).rev().map(move |number| key_of(number, declaration, pipeline))
}

fn key_of(number: u8, declaration: &Dataset, pipeline: &Pipeline) -> Digest {
    let name = &declaration.name;
    if let Some(layout) = Layout::of(&declaration.spec) {
        return Digest::of(format!("slipway pipeline: read rows {number}\0{name}\0{}", layout.key()));
    }
    let form = if matches!(pipeline.publish, Publication::Idx(_)) { "levels" } else { "files" };
    let transforms = &pipeline.transform;
    Digest::of(format!("slipway pipeline: read {number}\0{name}\0{form}\0{transforms:?}"))
}

/// The index of an earlier build, also of an earlier release; `None` if there is none, or a part of it is gone.
pub(crate) async fn earlier(
    declaration: &Dataset,
    pipeline: &Pipeline,
    store: &Store,
    cache: &Path,
) -> Result<Option<(Kept, PathBuf)>> {
    for key in keys(declaration, pipeline) {
        let found = kept(&key, store, cache).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

async fn kept(key: &Digest, store: &Store, cache: &Path) -> Result<Option<(Kept, PathBuf)>> {
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
pub(crate) struct IndexWriter<W: Write> {
    file: Writing<W>,
    record: Writer,
    pub(crate) units: u64,
    pub(crate) items: u64,
    /// Items without a difference hash.
    pub(crate) unhashed: u64,
}

impl<W: Write> IndexWriter<W> {
    pub(crate) fn new(file: Writing<W>) -> Self {
        Self { file, record: Writer::default(), units: 0, items: 0, unhashed: 0 }
    }

    /// `at` is when it arrived, in seconds since 1970; 0 if nobody knows.
    pub(crate) fn unit(&mut self, name: &str, version: &str, at: i64) -> Result<()> {
        self.units += 1;
        self.record.clear().u8(0).text(name).text(version).u64(at.max(0).unsigned_abs());
        self.file.record(&self.record.bytes)
    }

    pub(crate) fn item(&mut self, item: &Item<'_>) -> Result<()> {
        self.items += 1;
        self.unhashed += u64::from(item.outcome.as_ref().is_ok_and(|good| good.hash.is_none()));
        item.write(self.record.clear().u8(1));
        self.file.record(&self.record.bytes)
    }

    /// The file that it has written.
    pub(crate) fn into_file(self) -> Writing<W> {
        self.file
    }
}

/// A line of an index.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    Unit { name: &'a str, version: &'a str, at: i64 },
    Item(Item<'a>),
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

/// A unit that is remembered while its items are read.
#[derive(Debug)]
struct Head {
    name: String,
    version: String,
    at: i64,
}

impl IndexReader {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self { records: Records::open(path)? })
    }

    /// Goes to the next line; `false` at the end.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        self.records.advance()
    }

    /// The line that it is at.
    pub(crate) fn line(&self) -> Result<Line<'_>> {
        let mut reader = Reader { bytes: self.records.record() };
        let line = match reader.u8() {
            Some(0) => reader.text().zip(reader.text()).map(|(name, version)| {
                // an index of an earlier release has no time
                let at = reader.u64().and_then(|at| i64::try_from(at).ok()).unwrap_or_default();
                Line::Unit { name, version, at }
            }),
            Some(1) => Item::read(&mut reader).map(Line::Item),
            _ => None,
        };
        line.ok_or_else(|| self.damaged())
    }

    /// What cannot be understood although its digest is right.
    pub(crate) fn damaged(&self) -> Error {
        self.records.damaged()
    }

    /// Gives the items up to the next unit, and that unit; `None` at the end.
    fn items(&mut self, mut take: impl FnMut(&Item<'_>) -> Result<()>) -> Result<Option<Head>> {
        while self.advance()? {
            match self.line()? {
                Line::Item(item) => take(&item)?,
                Line::Unit { name, version, at } => {
                    return Ok(Some(Head { name: name.to_owned(), version: version.to_owned(), at }));
                }
            }
        }
        Ok(None)
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

    /// Goes to the next item; `false` at the end.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        while self.reader.advance()? {
            if self.reader.records.record().first() == Some(&1) {
                return Ok(true);
            }
            if let Line::Unit { name, .. } = self.reader.line()? {
                name.clone_into(&mut self.unit);
            }
        }
        Ok(false)
    }

    /// The item that it is at.
    pub(crate) fn item(&self) -> Result<Item<'_>> {
        match self.reader.line()? {
            Line::Item(item) => Ok(item),
            Line::Unit { .. } => Err(self.reader.damaged()),
        }
    }

    /// The whole name of the item that it is at.
    pub(crate) fn name(&self) -> Result<String> {
        let item = self.item()?;
        Ok(if item.name.is_empty() { self.unit.clone() } else { format!("{}, {}", self.unit, item.name) })
    }
}

/// An earlier index, of which units are taken in their order.
pub(crate) struct Earlier {
    reader: IndexReader,
    /// The unit whose items come next.
    unit: Option<Head>,
    pub(crate) packs: Vec<Option<Blob>>,
}

impl Earlier {
    pub(crate) fn open(kept: Kept, path: &Path) -> Result<Self> {
        let mut reader = IndexReader::open(path)?;
        let unit = reader.items(|_| Ok(()))?;
        Ok(Self { reader, unit, packs: kept.packs })
    }

    /// Copies a unit if it is there with this version. Units are asked for in the order of their names.
    pub(crate) fn take<W: Write>(&mut self, unit: &Unit, to: &mut IndexWriter<W>) -> Result<bool> {
        loop {
            let Some(head) = &self.unit else { return Ok(false) };
            match head.name.as_str().cmp(unit.name.as_str()) {
                Ordering::Less => self.unit = self.reader.items(|_| Ok(()))?,
                Ordering::Greater => return Ok(false),
                Ordering::Equal if head.version == unit.version => {
                    // written again with the same content, it has been there since then
                    to.unit(&unit.name, &unit.version, earliest(head.at, unit.at))?;
                    self.unit = self.reader.items(|item| to.item(item))?;
                    return Ok(true);
                }
                Ordering::Equal => {
                    self.unit = self.reader.items(|_| Ok(()))?;
                    return Ok(false);
                }
            }
        }
    }
}

/// One index of two that have no unit in common.
pub(crate) fn merge(one: Spooled, other: Spooled, folder: &Path) -> Result<Spooled> {
    let mut sides = [IndexReader::open(one.path())?, IndexReader::open(other.path())?];
    let mut heads = [sides[0].items(|_| Ok(()))?, sides[1].items(|_| Ok(()))?];
    if heads[0].is_none() {
        return Ok(other);
    }
    if heads[1].is_none() {
        return Ok(one);
    }
    let mut writer = IndexWriter::new(Spool::new(folder)?);
    loop {
        let side = match (&heads[0], &heads[1]) {
            (None, None) => return writer.into_file().finish(),
            (Some(_), None) => 0,
            (None, Some(_)) => 1,
            (Some(first), Some(second)) => usize::from(second.name < first.name),
        };
        if let Some(Head { name, version, at }) = &heads[side] {
            writer.unit(name, version, *at)?;
        }
        heads[side] = sides[side].items(|item| writer.item(item))?;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use crate::record::Part;
    use crate::unit::UnitKind;

    /// When the only unit of an index arrived, after it was found again with this time.
    fn taken(index: &Spooled, at: i64, folder: &Path) -> i64 {
        let kept = Kept { index: Blob { digest: Digest::of(""), size: 0 }, packs: Vec::new() };
        let mut earlier = Earlier::open(kept, index.path()).unwrap();
        let (name, version) = ("a".to_owned(), "1".to_owned());
        let unit = Unit { name, version, at, part: Part::Whole, kind: UnitKind::Npm };
        let mut writer = IndexWriter::new(Spool::new(folder).unwrap());
        assert!(earlier.take(&unit, &mut writer).unwrap());
        let taken = writer.into_file().finish().unwrap();
        let mut reader = IndexReader::open(taken.path()).unwrap();
        assert!(reader.advance().unwrap());
        match reader.line().unwrap() {
            Line::Unit { at, .. } => at,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_again_with_the_same_content_keeps_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = IndexWriter::new(Spool::new(folder.path()).unwrap());
        writer.unit("a", "1", 100).unwrap();
        let index = writer.into_file().finish().unwrap();
        assert_eq!((taken(&index, 200, folder.path()), taken(&index, 50, folder.path())), (100, 50));
        assert_eq!(taken(&index, 0, folder.path()), 100);
        // an index of an earlier release says no times
        let (mut file, mut record) = (Spool::new(folder.path()).unwrap(), Writer::default());
        record.clear().u8(0).text("a").text("1");
        file.record(&record.bytes).unwrap();
        assert_eq!(taken(&file.finish().unwrap(), 200, folder.path()), 200);
    }
}
