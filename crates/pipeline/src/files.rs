//! Files on their way: records of any length one after the other, and what is hashed while it is written.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, Write};
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
    /// Bytes of the record that it is at, with its length, if they are whole in the reader's buffer; 0 if the record is in `record`.
    whole: usize,
    record: Vec<u8>,
}

/// The length of a record.
const LENGTH: usize = 4;

impl Records {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::file("read", path, &error))?;
        Ok(Self { reader: BufReader::with_capacity(BUFFER, file), path: path.to_owned(), whole: 0, record: Vec::new() })
    }

    /// Goes to the next record; `false` at the end.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        let unreadable = |error| Error::file("read", &self.path, &error);
        self.reader.consume(std::mem::take(&mut self.whole));
        if let Some((length, rest)) = self.reader.buffer().split_first_chunk()
            && let length = u32::from_be_bytes(*length) as usize
            && length <= rest.len()
        {
            // nearly all are read where they are
            self.whole = LENGTH + length;
            return Ok(true);
        }
        let mut length = [0; LENGTH];
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
        if self.whole > 0 { &self.reader.buffer()[LENGTH..self.whole] } else { &self.record }
    }

    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        Ok(if self.advance()? { Some(self.record()) } else { None })
    }

    pub(crate) fn rewind(&mut self) -> Result<()> {
        self.whole = 0;
        self.reader.rewind().map_err(|error| Error::file("read", &self.path, &error))
    }

    /// What cannot be understood although its digest is right.
    pub(crate) fn damaged(&self) -> Error {
        let error = std::io::Error::other("it is not what this version writes; delete it");
        Error::file("read", &self.path, &error)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written_whatever_their_length() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = fastrand::Rng::with_seed(5);
        // some end with the buffer of the reader, some are larger than it
        let lengths = [0, 1, BUFFER - 2 * LENGTH - 1, 0, 3 * BUFFER, 10, 0].into_iter();
        let lengths = lengths.chain((0..2000).map(|number| number * 37 % 900)).chain([2 * BUFFER, 0]);
        let written: Vec<Vec<u8>> = lengths.map(|length| (0..length).map(|_| random.u8(..)).collect()).collect();
        let mut spool = Spool::new(folder.path()).unwrap();
        written.iter().for_each(|record| spool.record(record).unwrap());
        let spooled = spool.finish().unwrap();
        let mut records = spooled.records().unwrap();
        for _ in 0..2 {
            for record in &written {
                assert!(records.advance().unwrap());
                assert!(records.record() == record);
            }
            assert!(records.next().unwrap().is_none());
            records.rewind().unwrap();
            // from any place
            assert_eq!(records.next().unwrap(), Some(&written[0][..]));
            assert_eq!(records.next().unwrap(), Some(&written[1][..]));
            records.rewind().unwrap();
        }
    }

    #[test]
    fn a_record_that_is_cut_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut");
        std::fs::write(&path, [0, 0, 0, 2, 7, 7, 0, 0, 0, 2, 7]).unwrap();
        let mut records = Records::open(&path).unwrap();
        assert_eq!(records.next().unwrap(), Some(&[7, 7][..]));
        records.next().unwrap_err();
    }
}
