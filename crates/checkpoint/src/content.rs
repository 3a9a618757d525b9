//! What a shard is made of.

use std::path::PathBuf;

use bytes::Bytes;
use slipway_dataset::{Blob, Digest, Error};

/// The content of a shard.
#[derive(Debug, Clone)]
pub enum Content {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A file, which must not change while it is stored.
    File(PathBuf),
}

impl Content {
    /// Its digest and size, computed on a thread that may block.
    pub(crate) async fn blob(&self) -> Result<Blob, Error> {
        let content = self.clone();
        let hashed = tokio::task::spawn_blocking(move || match content {
            Self::Bytes(bytes) => Ok(Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 }),
            Self::File(path) => Digest::of_file(&path)
                .map(|(digest, size)| Blob { digest, size })
                .map_err(|error| Error::file("read", &path, &error)),
        });
        hashed.await.unwrap_or_else(|error| {
            Err(Error::File { action: "hash", path: "a shard".into(), reason: error.to_string() })
        })
    }
}
