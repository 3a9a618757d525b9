//! The payloads of a run on their way, in an order that makes them fast to read. Those of results near each other are together, as in the
//! published splits, so publishing reads blocks of many, each once, and not each payload where it happens to be.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use slipway_digest::Digest;
use tempfile::NamedTempFile;

use crate::files::{Spooled, temporary};
use crate::{Error, Result};

/// Bytes of a block. In a file of payloads one begins at each multiple of it.
pub(crate) const BLOCK: usize = 1 << 16;
/// Ranges of results, by their first byte. Each has a block in memory: 8 MiB.
const RANGES: usize = 1 << 7;

/// Writes payloads: those whose results are in one range share blocks.
pub(crate) struct PayloadWriter {
    file: NamedTempFile,
    folder: PathBuf,
    /// Where the next block begins.
    end: u64,
    ranges: Vec<Filling>,
}

/// A block that is not full.
#[derive(Debug, Default)]
struct Filling {
    /// Where it will be in the file; `None` until something is in it.
    start: Option<u64>,
    bytes: Vec<u8>,
}

impl PayloadWriter {
    /// `by_result` is whether they will be read in the order of their results; otherwise they stay in the order in which they come.
    pub(crate) fn new(folder: &Path, by_result: bool) -> Result<Self> {
        let mut ranges = Vec::new();
        ranges.resize_with(if by_result { RANGES } else { 1 }, Filling::default);
        Ok(Self { file: temporary(folder)?, folder: folder.to_owned(), end: 0, ranges })
    }

    /// Takes a payload; gives where it is in the file.
    pub(crate) fn add(&mut self, result: &Digest, payload: &[u8]) -> Result<u64> {
        let cannot = |error: std::io::Error| Error::temporary(&self.folder, &error);
        let file = self.file.as_file();
        if payload.len() > BLOCK {
            let start = self.end;
            file.write_all_at(payload, start).map_err(cannot)?;
            self.end += payload.len().next_multiple_of(BLOCK) as u64;
            return Ok(start);
        }
        let range = usize::from(result.as_bytes()[0]) * self.ranges.len() / 256;
        let filling = &mut self.ranges[range];
        if filling.bytes.len() + payload.len() > BLOCK {
            filling.write(file).map_err(cannot)?;
        }
        let start = match filling.start {
            Some(start) => start,
            None => {
                filling.bytes.reserve_exact(BLOCK);
                self.end += BLOCK as u64;
                *filling.start.insert(self.end - BLOCK as u64)
            }
        };
        let offset = start + filling.bytes.len() as u64;
        filling.bytes.extend_from_slice(payload);
        Ok(offset)
    }

    /// The file, with all of them.
    pub(crate) fn finish(mut self) -> Result<Spooled> {
        let file = self.file.as_file();
        let written = self.ranges.iter_mut().try_for_each(|filling| filling.write(file));
        written.map_err(|error| Error::temporary(&self.folder, &error))?;
        Ok(Spooled::of(self.file))
    }
}

impl Filling {
    /// Writes it to its place. What comes next needs another one.
    fn write(&mut self, file: &std::fs::File) -> std::io::Result<()> {
        if let Some(start) = self.start.take() {
            file.write_all_at(&self.bytes, start)?;
        }
        self.bytes.clear();
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    /// A result, its payload, and where that begins in the file.
    type Placed = (Digest, Vec<u8>, u64);

    /// Payloads of these lengths with results in no order, and where they are in the file.
    fn written(lengths: impl Iterator<Item = usize>, by_result: bool) -> (Vec<u8>, Vec<Placed>) {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = PayloadWriter::new(folder.path(), by_result).unwrap();
        let mut all = Vec::new();
        for (number, length) in lengths.enumerate() {
            let payload: Vec<u8> = (0..length).map(|at| (number * 7 + at) as u8).collect();
            let result = Digest::of(number.to_le_bytes());
            let offset = writer.add(&result, &payload).unwrap();
            all.push((result, payload, offset));
        }
        (std::fs::read(writer.finish().unwrap().path()).unwrap(), all)
    }

    #[test]
    fn every_payload_is_where_the_writer_says() {
        let mut random = fastrand::Rng::with_seed(11);
        let lengths: Vec<usize> =
            (0..3000).map(|_| random.usize(0..3000)).chain([BLOCK, 0, BLOCK + 1, 3 * BLOCK, 1]).collect();
        for by_result in [false, true] {
            let (file, all) = written(lengths.iter().copied(), by_result);
            for (_, payload, offset) in all {
                let start = offset as usize;
                assert!(payload.is_empty() || file[start..start + payload.len()] == payload);
                // none that fits into a block is in two
                assert!(start / BLOCK == (start + payload.len().max(1) - 1) / BLOCK || payload.len() > BLOCK);
            }
        }
    }

    #[test]
    fn a_block_has_results_of_one_range() {
        let (_, all) = written(std::iter::repeat_n(784, 20_000), true);
        let mut of_block = std::collections::HashMap::new();
        for (result, _, offset) in &all {
            let range = usize::from(result.as_bytes()[0]) * RANGES / 256;
            assert_eq!(*of_block.entry(offset / BLOCK as u64).or_insert(range), range);
        }
        // 156 or so of one range: two blocks
        assert!(of_block.len() < 3 * RANGES, "{}", of_block.len());
        // in the order in which they come, each is behind the one before
        let (_, all) = written(std::iter::repeat_n(784, 200), false);
        assert!(all.is_sorted_by_key(|(_, _, offset)| *offset));
    }
}
