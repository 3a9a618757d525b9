//! The local cache: files named by their content, so that what lies there needs no trust and no bookkeeping.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Digest, Error, Result};

/// A folder of files named by the SHA-256 of their content. Any number of processes may share it.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.join("sha256") }
    }

    /// The content with this digest, if it is here whole. A file that is not what its name says counts as absent: it is
    /// fetched again and replaced.
    pub(crate) async fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let path = self.folder.join(digest.hex());
        match tokio::fs::read(&path).await {
            Ok(bytes) if Digest::of(&bytes) == *digest => Ok(Some(bytes)),
            Ok(_) => {
                tracing::warn!(path = %path.display(), "a cached file is not what its name says; fetching it again");
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path, &error)),
        }
    }

    /// Keeps verified content. Written beside and renamed, so that nobody ever sees half a file; of two writers the last one
    /// wins, with the same bytes.
    pub(crate) async fn write(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        tokio::fs::create_dir_all(&self.folder).await.map_err(|error| failed("make", &self.folder, &error))?;
        let path = self.folder.join(digest.hex());
        let unique = format!(".{}.{}.{}", digest.hex(), std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let beside = self.folder.join(unique);
        let written = async {
            tokio::fs::write(&beside, bytes).await?;
            tokio::fs::rename(&beside, &path).await
        };
        if let Err(error) = written.await {
            // nothing half-written stays; when that fails too, the first failure is the one to tell
            let _ = tokio::fs::remove_file(&beside).await;
            return Err(failed("write", &path, &error));
        }
        Ok(())
    }
}

fn failed(action: &'static str, path: &Path, error: &std::io::Error) -> Error {
    Error::File { action, path: path.to_owned(), reason: error.to_string() }
}
