//! The local cache: files named by their content, which need neither trust nor bookkeeping.

use std::fs::Permissions;
use std::io::{ErrorKind, Sink, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use slipway_digest::Hashing;
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use crate::{Digest, Error, Result};

/// A folder of files named by the SHA-256 of their content. Any number of processes may share it.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in this folder, which need not exist yet.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.join("sha256") }
    }

    /// Where the content with this digest is, if it is there.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.hex())
    }

    /// The verified content with this digest. `None` if it is not in the cache: a file that does not match its name counts as absent,
    /// and is replaced when the content is fetched again.
    pub(crate) async fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let path = self.path(digest);
        match tokio::fs::read(&path).await {
            Ok(bytes) if Digest::of(&bytes) == *digest => Ok(Some(bytes)),
            Ok(_) => Ok(damaged(&path)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", &path, &error)),
        }
    }

    /// The file with this digest, verified without holding it in memory. `None` if it is not in the cache: a file that does not match its
    /// name counts as absent, and is replaced when the content is fetched again.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub async fn find(&self, digest: &Digest) -> Result<Option<PathBuf>> {
        let path = self.path(digest);
        let hashed = tokio::task::spawn_blocking({
            let path = path.clone();
            move || Digest::of_file(&path)
        });
        match hashed.await.map_err(|error| Error::file("read", &path, &error.into()))? {
            Ok((actual, _)) if actual == *digest => Ok(Some(path)),
            Ok(_) => Ok(damaged(&path)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", &path, &error)),
        }
    }

    /// A file to be filled and then kept.
    ///
    /// # Errors
    /// If it cannot be made.
    pub async fn part(&self) -> Result<Part> {
        tokio::fs::create_dir_all(&self.folder).await.map_err(|error| Error::file("create", &self.folder, &error))?;
        let file = tempfile::Builder::new()
            .prefix(".")
            // what every program gives its files, before the umask
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&self.folder)
            .map_err(|error| Error::file("create a file in", &self.folder, &error))?;
        let (file, path) = file.into_parts();
        Ok(Part { file: File::from_std(file), path, hash: Hashing::new(std::io::sink()), size: 0 })
    }
}

/// A file that is still being written. Dropped, it is removed.
#[derive(Debug)]
pub struct Part {
    file: File,
    path: TempPath,
    hash: Hashing<Sink>,
    size: u64,
}

impl Part {
    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Writes more.
    ///
    /// # Errors
    /// If it cannot be written, such as on a full disk.
    pub async fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = async {
            self.file.write_all(bytes).await?;
            self.hash.write_all(bytes)
        };
        written.await.map_err(|error| Error::file("write", &self.path, &error))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what was written.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn restart(&mut self) -> Result<()> {
        let restarted = async {
            self.file.flush().await?;
            self.file.rewind().await?;
            self.file.set_len(0).await
        };
        restarted.await.map_err(|error| Error::file("write", &self.path, &error))?;
        (self.hash, self.size) = (Hashing::new(std::io::sink()), 0);
        Ok(())
    }

    /// The file itself, if it holds `expected`, to be read from its start; it has no name any more. Otherwise the digest of its content.
    pub(crate) async fn into_file(mut self, expected: &Digest) -> Result<std::result::Result<std::fs::File, Digest>> {
        let rewound = async {
            self.file.flush().await?;
            self.file.rewind().await
        };
        rewound.await.map_err(|error| Error::file("read", &self.path, &error))?;
        let (_, actual, _) = self.hash.finish();
        Ok(if actual == *expected { Ok(self.file.into_std().await) } else { Err(actual) })
    }

    /// Renames it to what it holds, and gives the digest of that.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn keep_whatever(mut self, cache: &Cache) -> Result<Digest> {
        self.file.flush().await.map_err(|error| Error::file("write", &self.path, &error))?;
        let (_, actual, _) = self.hash.finish();
        let path = cache.path(&actual);
        self.path.persist(&path).map_err(|error| Error::file("write", &path, &error.error))?;
        Ok(actual)
    }

    /// Renames it to what it holds if that is `expected`: nobody ever sees half a file. Gives the digest of its content.
    pub(crate) async fn keep(mut self, cache: &Cache, expected: &Digest) -> Result<Digest> {
        self.file.flush().await.map_err(|error| Error::file("write", &self.path, &error))?;
        let (_, actual, _) = self.hash.finish();
        if actual == *expected {
            let path = cache.path(expected);
            self.path.persist(&path).map_err(|error| Error::file("write", &path, &error.error))?;
        }
        Ok(actual)
    }
}

fn damaged<T>(path: &Path) -> Option<T> {
    tracing::warn!(path = %path.display(), "a cached file does not match its name; fetching it again");
    None
}
