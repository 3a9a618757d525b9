//! Sorting more records than memory holds: sorted runs in files without names, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

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
    places: Vec<(u32, u32)>,
    runs: Vec<File>,
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
        if self.bytes.len() + record.len() + (self.places.len() + 1) * size_of::<(u32, u32)>() > self.buffer {
            self.spill()?;
        }
        // both fit: the buffer is smaller
        self.places.push((self.bytes.len() as u32, record.len() as u32));
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

    fn order(&mut self) -> Vec<(u32, u32)> {
        let bytes = &self.bytes;
        let mut places = std::mem::take(&mut self.places);
        let record = |&(start, length): &(u32, u32)| &bytes[start as usize..(start + length) as usize];
        places.sort_unstable_by(|a, b| record(a).cmp(record(b)));
        places
    }

    fn spill(&mut self) -> Result<()> {
        let order = self.order();
        let mut run = Run::new(&self.folder)?;
        for (start, length) in &order {
            run.write(&self.bytes[*start as usize..(start + length) as usize])?;
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
    Memory { bytes: Vec<u8>, order: std::vec::IntoIter<(u32, u32)> },
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
            Inner::Memory { bytes, order } => {
                Ok(order.next().map(|(start, length)| &bytes[start as usize..(start + length) as usize]))
            }
            Inner::Files(merge) => merge.next().map_err(|error| match error {
                Error::Temporary { reason, .. } => Error::Temporary { folder: self.folder.clone(), reason },
                other => other,
            }),
        }
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
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    current: Vec<u8>,
    folder: PathBuf,
}

impl Merge {
    fn new(runs: Vec<File>, folder: &Path) -> Result<Self> {
        let readers: Vec<_> = runs.into_iter().map(|file| BufReader::with_capacity(READ, file)).collect();
        let mut merge = Self { readers, heads: BinaryHeap::new(), current: Vec::new(), folder: folder.to_owned() };
        for run in 0..merge.readers.len() {
            merge.refill(run, Vec::new())?;
        }
        Ok(merge)
    }

    /// Reads the next record of a run into `buffer`.
    fn refill(&mut self, run: usize, mut buffer: Vec<u8>) -> Result<()> {
        let unreadable = |error| Error::temporary(&self.folder, &error);
        let reader = &mut self.readers[run];
        let mut length = [0; 4];
        match reader.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        }
        buffer.resize(u32::from_le_bytes(length) as usize, 0);
        reader.read_exact(&mut buffer).map_err(unreadable)?;
        self.heads.push(Reverse((buffer, run)));
        Ok(())
    }

    fn next(&mut self) -> Result<Option<&[u8]>> {
        let Some(Reverse((record, run))) = self.heads.pop() else { return Ok(None) };
        let buffer = std::mem::replace(&mut self.current, record);
        self.refill(run, buffer)?;
        Ok(Some(&self.current))
    }
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
    fn many_runs_are_merged_in_rounds() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut records: Vec<Vec<u8>> = (0..2 * FAN * FAN).map(|_| random.u64(..).to_le_bytes().to_vec()).collect();
        // two records a run
        let sorted = sort(&records, 40);
        records.sort();
        assert!(sorted == records);
    }
}
