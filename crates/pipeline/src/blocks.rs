//! Blocks of files that were read last: reading many small payloads that are near each other asks the system once for all of them.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::payloads::BLOCK;

/// Blocks that are kept: 16 MiB, which is a range of a run with 2 GiB of payloads.
const BLOCKS: usize = 1 << 8;
/// After so many reads of a file it is decided whether its blocks are worth it.
const TRIAL: u32 = 4096;

/// The last blocks of several files, which have numbers.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// In which slot a block of a file is.
    slots: HashMap<(u32, u64), usize>,
    kept: Vec<Block>,
    /// The slot of the oldest one.
    oldest: usize,
}

#[derive(Debug)]
struct Block {
    of: (u32, u64),
    /// Fewer than [`BLOCK`] at the end of a file.
    bytes: Vec<u8>,
}

/// How well blocks of a file do.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    reads: u32,
    /// Reads for which a block was fetched.
    fetched: u32,
}

impl Trial {
    /// Whether a block serves two reads or more. If it does not, as in a file that is read in another order than it was written, reading what
    /// is asked for is faster.
    fn pays(&self) -> bool {
        self.reads < TRIAL || self.fetched * 2 <= self.reads
    }
}

impl Blocks {
    /// Reads what begins at an offset of a file.
    pub(crate) fn read(
        &mut self,
        number: u32,
        file: &File,
        trial: &mut Trial,
        offset: u64,
        bytes: &mut [u8],
    ) -> std::io::Result<()> {
        let (block, start) = (offset / BLOCK as u64, (offset % BLOCK as u64) as usize);
        if start + bytes.len() > BLOCK || !trial.pays() {
            return file.read_exact_at(bytes, offset);
        }
        let of = (number, block);
        let slot = match self.slots.get(&of).copied() {
            Some(slot) => slot,
            None => {
                trial.fetched += u32::from(trial.reads < TRIAL);
                self.fetch(of, file)?
            }
        };
        trial.reads = trial.reads.saturating_add(1).min(TRIAL);
        let there = self.kept[slot].bytes.get(start..start + bytes.len());
        bytes.copy_from_slice(there.ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    /// Reads a block into the slot of the oldest one.
    fn fetch(&mut self, of: (u32, u64), file: &File) -> std::io::Result<usize> {
        let slot = if self.kept.len() < BLOCKS {
            self.kept.push(Block { of, bytes: Vec::new() });
            self.kept.len() - 1
        } else {
            self.oldest = (self.oldest + 1) % BLOCKS;
            (self.oldest + BLOCKS - 1) % BLOCKS
        };
        let block = &mut self.kept[slot];
        // what cannot be read is not taken for what was there
        self.slots.remove(&block.of);
        block.of = of;
        block.bytes.resize(BLOCK, 0);
        let mut size = 0;
        while size < BLOCK {
            match file.read_at(&mut block.bytes[size..], of.1 * BLOCK as u64 + size as u64) {
                Ok(0) => break,
                Ok(read) => size += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        block.bytes.truncate(size);
        self.slots.insert(of, slot);
        Ok(slot)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(size: usize, seed: u64) -> (File, Vec<u8>) {
        let mut bytes = vec![0; size];
        fastrand::Rng::with_seed(seed).fill(&mut bytes);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[test]
    fn reads_are_what_the_files_hold_in_any_order() {
        let mut random = fastrand::Rng::with_seed(3);
        // one has more blocks than are kept, the other ends within a block
        let files = [file(3 * BLOCKS * BLOCK, 1), file(3 * BLOCK + 100, 2)];
        let (mut blocks, mut trials) = (Blocks::default(), [Trial::default(), Trial::default()]);
        let mut bytes = Vec::new();
        for _ in 0..3 * TRIAL {
            let number = random.usize(0..2);
            let (file, all) = &files[number];
            let start = random.usize(0..all.len());
            let end = all.len().min(start + random.usize(0..2000));
            bytes.resize(end - start, 0);
            blocks.read(number as u32, file, &mut trials[number], start as u64, &mut bytes).unwrap();
            assert!(bytes == all[start..end]);
        }
        assert!(blocks.kept.len() <= BLOCKS && blocks.slots.len() <= BLOCKS);
        // nearly each read of the first one needed another block, and the second one has four
        assert_eq!(trials.map(|trial| trial.pays()), [false, true]);
    }

    #[test]
    fn what_is_behind_the_end_is_an_error() {
        let (file, _) = file(BLOCK + 10, 4);
        let (mut blocks, mut trial) = (Blocks::default(), Trial::default());
        for (offset, length) in [(BLOCK as u64 + 5, 6), (5 * BLOCK as u64, 1), (BLOCK as u64 - 1, 12)] {
            let error = blocks.read(0, &file, &mut trial, offset, &mut vec![0; length]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        }
        let mut last = [0; 10];
        blocks.read(0, &file, &mut trial, BLOCK as u64, &mut last).unwrap();
    }
}
