//! Files on their way: records of any length one after the other, and what is hashed while it is written.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use slipway_dataset::Blob;
use slipway_digest::Hashing;
use tempfile::NamedTempFile;

use crate::{Error, Result};

const BUFFER: usize = 1 << 17;

/// A temporary file that is hashed while it is written.
pub(crate) struct Hashed {
    writer: Hashing<BufWriter<NamedTempFile>>,
    folder: PathBuf,
    size: u64,
}

/// A whole temporary file, with its digest and its size. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) file: NamedTempFile,
    pub(crate) blob: Blob,
}

impl Hashed {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let file = tempfile::Builder::new().prefix("pipeline-").tempfile_in(folder);
        let file = file.map_err(|error| Error::temporary(folder, &error))?;
        let writer = Hashing::new(BufWriter::with_capacity(BUFFER, file));
        Ok(Self { writer, folder: folder.to_owned(), size: 0 })
    }

    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).map_err(|error| Error::temporary(&self.folder, &error))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// A record of bytes, with its length.
    pub(crate) fn record(&mut self, bytes: &[u8]) -> Result<()> {
        self.write(&(bytes.len() as u32).to_be_bytes())?;
        self.write(bytes)
    }

    pub(crate) fn finish(self) -> Result<Made> {
        let (writer, digest, size) = self.writer.finish();
        let finished = writer.into_inner().map_err(std::io::IntoInnerError::into_error);
        let file = finished.map_err(|error| Error::temporary(&self.folder, &error))?;
        Ok(Made { file, blob: Blob { digest, size } })
    }
}

impl Made {
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn records(&self) -> Result<Records> {
        Records::open(self.path())
    }
}

/// Records, one after the other.
#[derive(Debug)]
pub(crate) struct Records {
    reader: BufReader<File>,
    path: PathBuf,
    record: Vec<u8>,
}

impl Records {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::file("read", path, &error))?;
        Ok(Self { reader: BufReader::with_capacity(BUFFER, file), path: path.to_owned(), record: Vec::new() })
    }

    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        let unreadable = |error| Error::file("read", &self.path, &error);
        let mut length = [0; 4];
        match self.reader.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        }
        self.record.resize(u32::from_be_bytes(length) as usize, 0);
        self.reader.read_exact(&mut self.record).map_err(unreadable)?;
        Ok(Some(&self.record))
    }

    pub(crate) fn rewind(&mut self) -> Result<()> {
        self.reader.rewind().map_err(|error| Error::file("read", &self.path, &error))
    }

    /// What cannot be understood although its digest is right.
    pub(crate) fn damaged(&self) -> Error {
        let error = std::io::Error::other("it is not what this version writes; delete it");
        Error::file("read", &self.path, &error)
    }
}
