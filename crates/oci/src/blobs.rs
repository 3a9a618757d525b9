//! A folder of blobs, each in a file that is named by the hexadecimal digits of its digest.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use slipway_digest::Digest;
use tempfile::NamedTempFile;

use crate::{Descriptor, Error, Result};

/// The largest manifest or configuration that is read into memory: four times what registries accept.
const LARGEST_DOCUMENT: u64 = 16 << 20;

/// A folder of blobs.
#[derive(Clone, Debug)]
pub struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// The blobs in this folder, which need not exist yet.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a blob, whether it exists or not.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.hex())
    }

    /// Whether a blob is here, with the size and the digest of its descriptor.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn has(&self, blob: &Descriptor) -> Result<bool> {
        let path = self.path(&blob.digest);
        match Digest::of_file(&path) {
            Ok(found) => Ok(found == (blob.digest, blob.size)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::file("reading", path)(error)),
        }
    }

    /// The file of a blob, after its content was compared with its descriptor.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn verified(&self, blob: &Descriptor) -> Result<PathBuf> {
        let path = self.path(&blob.digest);
        let (found, size) = Digest::of_file(&path).map_err(Error::file("reading", &path))?;
        compared(&path, found, size, blob)?;
        Ok(path)
    }

    /// The bytes of a manifest or another small document, after they were compared with the descriptor.
    ///
    /// # Errors
    /// When it is missing, damaged, or larger than 16 MiB.
    pub fn read(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        let path = self.path(&blob.digest);
        if blob.size > LARGEST_DOCUMENT {
            return Err(Error::layout(
                path,
                format!("it has {} bytes, too many for a document of an image", blob.size),
            ));
        }
        let file = std::fs::File::open(&path).map_err(Error::file("reading", &path))?;
        let mut bytes = Vec::new();
        // one byte more than expected shows that a file is too long, without reading all of it
        file.take(blob.size + 1).read_to_end(&mut bytes).map_err(Error::file("reading", &path))?;
        compared(&path, Digest::of(&bytes), bytes.len() as u64, blob)?;
        Ok(bytes)
    }

    /// A manifest, an index or a configuration, after its bytes were compared with the descriptor.
    ///
    /// # Errors
    /// As [`Blobs::read`], and when it is not the document that is asked for.
    pub fn document<T: DeserializeOwned>(&self, blob: &Descriptor) -> Result<T> {
        let bytes = self.read(blob)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::layout(self.path(&blob.digest), error))
    }

    /// Every file in the folder, sorted, with the digest that is its name; `None` if its name is not a digest.
    pub(crate) fn files(&self) -> Result<Vec<(PathBuf, Option<Digest>)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(Error::file("reading", &self.folder))? {
            let entry = entry.map_err(Error::file("reading", &self.folder))?;
            let digest = entry.file_name().to_str().and_then(|name| Digest::from_hex(name).ok());
            files.push((entry.path(), digest));
        }
        files.sort();
        Ok(files)
    }

    /// Compares every blob in the folder with its name.
    ///
    /// # Errors
    /// For the first one that is damaged, or whose name is not a digest.
    pub fn verify(&self) -> Result<()> {
        for (path, name) in self.files()? {
            let expected = name.ok_or_else(|| Error::layout(&path, "the file's name is not a digest"))?;
            let (found, size) = Digest::of_file(&path).map_err(Error::file("reading", &path))?;
            if found != expected {
                return Err(Error::Damaged { path, found, size, expected, expected_size: None });
            }
        }
        Ok(())
    }

    /// An empty file in the folder for a new blob; it is removed unless [`Blobs::keep`] keeps it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn part(&self) -> Result<NamedTempFile> {
        let failed = Error::file("writing in", &self.folder);
        tempfile::Builder::new().prefix(".part-").tempfile_in(&self.folder).map_err(failed)
    }

    /// Makes a finished file of [`Blobs::part`] a blob that anybody may read.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn keep(&self, part: NamedTempFile, digest: &Digest) -> Result<PathBuf> {
        let path = self.path(digest);
        part.as_file().set_permissions(Permissions::from_mode(0o644)).map_err(Error::file("writing", &path))?;
        part.persist(&path).map_err(|error| Error::file("writing", &path)(error.error))?;
        Ok(path)
    }

    /// Stores a small blob.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let mut part = self.part()?;
        part.write_all(bytes).map_err(Error::file("writing", self.path(&digest)))?;
        self.keep(part, &digest)?;
        Ok(digest)
    }

    /// Takes a file that is known to have this digest: as a hard link where the file system allows it, otherwise as a copy.
    ///
    /// # Errors
    /// When it can neither be linked nor copied.
    pub fn take(&self, file: &Path, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        match std::fs::hard_link(file, &path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
            // another file system, or one without links
            Err(_) => {}
        }
        let part = self.part()?;
        std::fs::copy(file, part.path()).map_err(Error::file("writing", &path))?;
        self.keep(part, digest).map(drop)
    }
}

fn compared(path: &Path, found: Digest, size: u64, blob: &Descriptor) -> Result<()> {
    if (found, size) == (blob.digest, blob.size) {
        return Ok(());
    }
    let (path, expected, expected_size) = (path.to_owned(), blob.digest, Some(blob.size));
    Err(Error::Damaged { path, found, size, expected, expected_size })
}
