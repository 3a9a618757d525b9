//! Files on their way: records of any length one after the other, and what is hashed while it is written.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use slipway_dataset::Blob;
use slipway_digest::Hashing;
use tempfile::NamedTempFile;

use crate::{Error, Result};

const BUFFER: usize = 1 << 17;

/// A temporary file on its way.
pub(crate) struct Writing<W: Write> {
    writer: BufWriter<W>,
    folder: PathBuf,
    size: u64,
}

/// A file of records, or of bytes, that a later step of the same run reads.
pub(crate) type Spool = Writing<NamedTempFile>;

/// A file for the store, which is hashed while it is written, in blocks.
pub(crate) type Hashed = Writing<Hashing<NamedTempFile>>;

/// A whole spool. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Spooled(NamedTempFile);

/// A whole file for the store, with its digest and its size. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Made {
    file: NamedTempFile,
    pub(crate) blob: Blob,
}

impl Spool {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        Ok(Self::to(temporary(folder)?, folder))
    }

    pub(crate) fn finish(self) -> Result<Spooled> {
        self.end().map(Spooled)
    }
}

impl Hashed {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        Ok(Self::to(Hashing::new(temporary(folder)?), folder))
    }

    pub(crate) fn finish(self) -> Result<Made> {
        let (file, digest, size) = self.end()?.finish();
        Ok(Made { file, blob: Blob { digest, size } })
    }
}

pub(crate) fn temporary(folder: &Path) -> Result<NamedTempFile> {
    let file = tempfile::Builder::new().prefix("pipeline-").tempfile_in(folder);
    file.map_err(|error| Error::temporary(folder, &error))
}

impl<W: Write> Writing<W> {
    fn to(file: W, folder: &Path) -> Self {
        Self { writer: BufWriter::with_capacity(BUFFER, file), folder: folder.to_owned(), size: 0 }
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

    fn end(self) -> Result<W> {
        let ended = self.writer.into_inner().map_err(std::io::IntoInnerError::into_error);
        ended.map_err(|error| Error::temporary(&self.folder, &error))
    }
}

impl Spooled {
    /// A file that is whole.
    pub(crate) fn of(file: NamedTempFile) -> Self {
        Self(file)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn records(&self) -> Result<Records> {
        Records::open(self.path())
    }
}

impl Made {
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
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

    /// Goes to the next record; `false` at the end.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        let unreadable = |error| Error::file("read", &self.path, &error);
        let mut length = [0; 4];
        match self.reader.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(unreadable(error)),
        }
        self.record.resize(u32::from_be_bytes(length) as usize, 0);
        self.reader.read_exact(&mut self.record).map_err(unreadable)?;
        Ok(true)
    }

    /// The record that it is at.
    pub(crate) fn record(&self) -> &[u8] {
        &self.record
    }

    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        Ok(if self.advance()? { Some(&self.record) } else { None })
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
