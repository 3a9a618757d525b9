//! Sorting more records than memory holds: sorted runs in files without names, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::record::Reader;
use crate::{Error, Result};

/// Bytes of records that are sorted in memory.
const BUFFER: usize = 6 << 20;
/// Runs that are merged at once; each has a buffer of [`READ`] bytes.
const FAN: usize = 64;
const READ: usize = 1 << 16;

/// Takes records, which are bytes, in any order.
#[derive(Debug)]
pub struct Sorter {
    folder: PathBuf,
    /// Bytes of records in memory.
    buffer: usize,
    bytes: Vec<u8>,
    /// Where each record is in `bytes`.
    places: Vec<Position>,
    runs: Vec<File>,
}

/// Where a record is in memory, and its first bytes as a number, which decide most comparisons without a look at the record.
#[derive(Debug, Clone, Copy)]
struct Position {
    first: u64,
    start: u32,
    length: u32,
}

impl Position {
    fn record(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..][..self.length as usize]
    }
}

/// The first eight bytes of a record as a number; zeros if it has fewer.
fn first(record: &[u8]) -> u64 {
    if let Some(first) = record.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut bytes = [0; 8];
    bytes[..record.len()].copy_from_slice(record);
    u64::from_be_bytes(bytes)
}

impl Sorter {
    /// Uses temporary files in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self::within(folder, BUFFER)
    }

    fn within(folder: &Path, buffer: usize) -> Self {
        Self { folder: folder.to_owned(), buffer, bytes: Vec::new(), places: Vec::new(), runs: Vec::new() }
    }

    /// Adds a record of less than 1 MiB.
    ///
    /// # Errors
    /// If a temporary file cannot be written.
    pub fn push(&mut self, record: &[u8]) -> Result<()> {
        if self.bytes.len() + record.len() + (self.places.len() + 1) * size_of::<Position>() > self.buffer {
            self.spill()?;
        }
        // both fit: the buffer is smaller
        let (start, length) = (self.bytes.len() as u32, record.len() as u32);
        self.places.push(Position { first: first(record), start, length });
        self.bytes.extend_from_slice(record);
        Ok(())
    }

    /// The records in the order of their bytes.
    ///
    /// # Errors
    /// If a temporary file cannot be written or read.
    pub fn sorted(mut self) -> Result<Sorted> {
        if self.runs.is_empty() {
            let order = self.order();
            return Ok(Sorted {
                inner: Inner::Memory { bytes: self.bytes, order: order.into_iter() },
                folder: self.folder,
            });
        }
        self.spill()?;
        (self.bytes, self.places) = (Vec::new(), Vec::new());
        while self.runs.len() > FAN {
            let rest = self.runs.split_off(FAN);
            let some = std::mem::replace(&mut self.runs, rest);
            let mut merged = Merge::new(some, &self.folder)?;
            let mut run = Run::new(&self.folder)?;
            while let Some(record) = merged.next()? {
                run.write(record)?;
            }
            self.runs.push(run.finish()?);
        }
        let merge = Merge::new(self.runs, &self.folder)?;
        Ok(Sorted { inner: Inner::Files(merge), folder: self.folder })
    }

    fn order(&mut self) -> Vec<Position> {
        let bytes = &self.bytes;
        let mut places = std::mem::take(&mut self.places);
        places.sort_unstable_by(|a, b| a.first.cmp(&b.first).then_with(|| a.record(bytes).cmp(b.record(bytes))));
        places
    }

    fn spill(&mut self) -> Result<()> {
        let order = self.order();
        let mut run = Run::new(&self.folder)?;
        for position in &order {
            run.write(position.record(&self.bytes))?;
        }
        self.runs.push(run.finish()?);
        self.bytes.clear();
        self.places = order;
        self.places.clear();
        Ok(())
    }
}

/// Sorted records, one after the other.
#[derive(Debug)]
pub struct Sorted {
    inner: Inner,
    folder: PathBuf,
}

#[derive(Debug)]
enum Inner {
    Memory { bytes: Vec<u8>, order: std::vec::IntoIter<Position> },
    Files(Merge),
}

impl Sorted {
    /// The next record.
    ///
    /// # Errors
    /// If a temporary file cannot be read.
    #[expect(clippy::should_implement_trait, reason = "what it gives lives as long as the next call")]
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        match &mut self.inner {
            Inner::Memory { bytes, order } => Ok(order.next().map(|position| position.record(bytes))),
            Inner::Files(merge) => merge.next().map_err(|error| match error {
                Error::Temporary { reason, .. } => Error::Temporary { folder: self.folder.clone(), reason },
                other => other,
            }),
        }
    }
}

/// What sorted records say of numbers. A record begins with its number, and no other one has the same.
pub(crate) struct Lookup<T> {
    sorted: Sorted,
    /// Reads what comes after the number.
    read: fn(&mut Reader<'_>) -> Option<T>,
    next: Option<(u64, T)>,
}

impl<T> Lookup<T> {
    pub(crate) fn new(sorted: Sorted, read: fn(&mut Reader<'_>) -> Option<T>) -> Result<Self> {
        let mut lookup = Self { sorted, read, next: None };
        lookup.advance()?;
        Ok(lookup)
    }

    /// What they say of a number. Numbers are asked for in their order, and every one that has a record is.
    pub(crate) fn of(&mut self, number: u64) -> Result<Option<T>> {
        let Some((_, said)) = self.next.take_if(|(next, _)| *next == number) else { return Ok(None) };
        self.advance()?;
        Ok(Some(said))
    }

    fn advance(&mut self) -> Result<()> {
        self.next = self.sorted.next()?.and_then(|record| {
            let mut reader = Reader { bytes: record };
            Some((reader.u64()?, (self.read)(&mut reader)?))
        });
        Ok(())
    }
}

/// A run on its way into a file.
struct Run {
    writer: BufWriter<File>,
    folder: PathBuf,
}

impl Run {
    fn new(folder: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(|error| Error::temporary(folder, &error))?;
        Ok(Self { writer: BufWriter::with_capacity(READ, file), folder: folder.to_owned() })
    }

    fn write(&mut self, record: &[u8]) -> Result<()> {
        let length = (record.len() as u32).to_le_bytes();
        let written = self.writer.write_all(&length).and_then(|()| self.writer.write_all(record));
        written.map_err(|error| Error::temporary(&self.folder, &error))
    }

    fn finish(self) -> Result<File> {
        let folder = self.folder;
        let finished = self.writer.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(|mut file| {
            file.rewind()?;
            Ok(file)
        });
        finished.map_err(|error| Error::temporary(&folder, &error))
    }
}

#[derive(Debug)]
struct Merge {
    readers: Vec<BufReader<File>>,
    heads: BinaryHeap<Reverse<Next>>,
    current: Vec<u8>,
    folder: PathBuf,
}

/// The next record of a run. Ordered by its bytes, of which the first ones are a number here.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    first: u64,
    record: Vec<u8>,
    run: usize,
}

impl Merge {
    fn new(runs: Vec<File>, folder: &Path) -> Result<Self> {
        let mut readers: Vec<_> = runs.into_iter().map(|file| BufReader::with_capacity(READ, file)).collect();
        let mut heads = BinaryHeap::new();
        for (run, reader) in readers.iter_mut().enumerate() {
            let mut record = Vec::new();
            if read(reader, &mut record, folder)? {
                heads.push(Reverse(Next { first: first(&record), record, run }));
            }
        }
        Ok(Self { readers, heads, current: Vec::new(), folder: folder.to_owned() })
    }

    fn next(&mut self) -> Result<Option<&[u8]>> {
        let Some(mut head) = self.heads.peek_mut() else { return Ok(None) };
        let next = &mut head.0;
        std::mem::swap(&mut self.current, &mut next.record);
        if read(&mut self.readers[next.run], &mut next.record, &self.folder)? {
            next.first = first(&next.record);
        } else {
            PeekMut::pop(head);
        }
        Ok(Some(&self.current))
    }
}

/// Reads the next record of a run into `record`; `false` at its end.
fn read(run: &mut BufReader<File>, record: &mut Vec<u8>, folder: &Path) -> Result<bool> {
    let unreadable = |error| Error::temporary(folder, &error);
    if let Some((length, rest)) = run.buffer().split_first_chunk()
        && let Some(whole) = rest.get(..u32::from_le_bytes(*length) as usize)
    {
        // as nearly all are
        record.clear();
        record.extend_from_slice(whole);
        let size = length.len() + whole.len();
        run.consume(size);
        return Ok(true);
    }
    let mut length = [0; 4];
    match run.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
        Err(error) => return Err(unreadable(error)),
    }
    record.resize(u32::from_le_bytes(length) as usize, 0);
    run.read_exact(record).map_err(unreadable)?;
    Ok(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sort(records: &[Vec<u8>], buffer: usize) -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::within(folder.path(), buffer);
        records.iter().for_each(|record| sorter.push(record).unwrap());
        let mut sorted = sorter.sorted().unwrap();
        let mut all = Vec::new();
        while let Some(record) = sorted.next().unwrap() {
            all.push(record.to_vec());
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn records_come_in_order(
            mut records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..200),
            buffer in 30..4000_usize,
        ) {
            let sorted = sort(&records, buffer);
            records.sort();
            prop_assert_eq!(sorted, records);
        }
    }

    #[test]
    fn what_is_said_of_a_number_is_found_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(folder.path());
        let mut writer = crate::record::Writer::default();
        for (number, said) in [(7_u64, 1_u8), (2, 2), (3, 3)] {
            sorter.push(&writer.clear().u64(number).u8(said).bytes).unwrap();
        }
        let mut lookup = Lookup::new(sorter.sorted().unwrap(), |record| record.u8().map(u64::from)).unwrap();
        let said: Vec<Option<u64>> = (0..9).map(|number| lookup.of(number).unwrap()).collect();
        assert_eq!(said, [None, None, Some(2), Some(3), None, None, None, Some(1), None]);
        assert_eq!(lookup.of(7).unwrap(), None);
    }

    #[test]
    fn many_runs_are_merged_in_rounds() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut records: Vec<Vec<u8>> = (0..2 * FAN * FAN).map(|_| random.u64(..).to_le_bytes().to_vec()).collect();
        // two records a run
        let sorted = sort(&records, 40);
        records.sort();
        assert!(sorted == records);
    }
}
