//! Packs: files that hold the bytes of many items. In the store those are above all the images of the published splits; images that are not published, and
//! the values of rows, are in packs of their own.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::blocks::{Blocks, Trial};
use crate::files::{Hashed, Made};
use crate::record::{Kind, Payload};
use crate::{Error, Result};

/// A pack that is not a published split is full when it has so many bytes.
const FULL: u64 = 256 << 20;

/// New packs, of what is in no published split.
pub(crate) struct PackWriter {
    folder: PathBuf,
    current: Option<Hashed>,
    made: Vec<Made>,
    /// The number of the first one.
    first: u32,
}

impl PackWriter {
    /// `first` is the number of the packs that there are already.
    pub(crate) fn new(folder: &Path, first: u32) -> Self {
        Self { folder: folder.to_owned(), current: None, made: Vec::new(), first }
    }

    pub(crate) fn append(&mut self, bytes: &[u8], kind: Kind) -> Result<Payload> {
        if self.current.as_ref().is_some_and(|current| current.size() >= FULL) {
            self.close()?;
        }
        let current = match &mut self.current {
            Some(current) => current,
            none => none.insert(Hashed::new(&self.folder)?),
        };
        let pack = self.first + self.made.len() as u32;
        let payload = Payload { pack, offset: current.size(), length: bytes.len() as u32, kind };
        current.write(bytes)?;
        Ok(payload)
    }

    pub(crate) fn finish(mut self) -> Result<Vec<Made>> {
        self.close()?;
        Ok(self.made)
    }

    /// Ends the pack that is being written.
    fn close(&mut self) -> Result<()> {
        if let Some(current) = self.current.take() {
            self.made.push(current.finish()?);
        }
        Ok(())
    }
}

/// Packs to read from, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Packs {
    files: Vec<Option<(File, Trial)>>,
    blocks: Blocks,
}

impl Packs {
    pub(crate) fn open(&mut self, number: u32, path: &Path) -> Result<()> {
        let file = File::open(path).map_err(|error| Error::file("read", path, &error))?;
        let number = number as usize;
        if self.files.len() <= number {
            self.files.resize_with(number + 1, || None);
        }
        self.files[number] = Some((file, Trial::default()));
        Ok(())
    }

    /// Reads a payload into `bytes`.
    pub(crate) fn read(&mut self, payload: Payload, bytes: &mut Vec<u8>) -> Result<()> {
        let unreadable = |error: std::io::Error| Error::file("read", Path::new("a pack"), &error);
        let file = self.files.get_mut(payload.pack as usize).and_then(Option::as_mut);
        let (file, trial) = file.ok_or_else(|| unreadable(std::io::Error::other("it is not there")))?;
        bytes.resize(payload.length as usize, 0);
        self.blocks.read(payload.pack, file, trial, payload.offset, bytes).map_err(unreadable)
    }
}
