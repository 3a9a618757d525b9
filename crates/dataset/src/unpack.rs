//! A dataset as files in a folder, for programs that read files.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache::Cache;
use crate::folder::{Folder, Part};
use crate::{Digest, Error, Manifest, Result, Store};

/// Between two looks at a lock that another process holds.
const PAUSE: Duration = Duration::from_millis(50);

/// A dataset as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// Holds `dataset.json` (name, digest, format, shape, classes, labels, counts) and the files of each split.
    ///
    /// ```text
    /// idx       train/images-idx3-ubyte  train/labels-idx1-ubyte  validation/…  test/…
    /// images    train/<label>/<file>                              validation/…  test/…
    /// csv       train.csv      validation.csv      test.csv
    /// parquet   train.parquet  validation.parquet  test.parquet
    /// ```
    pub folder: PathBuf,
    /// What the dataset is.
    pub manifest: Manifest,
}

impl Store {
    /// A dataset as read-only files in a folder below `cache`, the same one for every process that asks. Every file is verified each
    /// time: what is wrong or missing is replaced, what does not belong there is removed. Processes that come at the same time wait for
    /// each other.
    ///
    /// # Errors
    /// As [`Store::fetch`]; [`Error::File`](crate::Error::File) if the cache cannot be written, such as on a full disk.
    pub async fn unpack(&self, digest: &Digest, cache: &Path) -> Result<Unpacked> {
        let blobs = Cache::new(cache);
        let manifest = self.manifest(digest, &blobs).await?;
        let folder = Folder::new(cache, digest, &manifest);
        let unpacked = Unpacked { folder: folder.path().to_owned(), manifest };
        let reading = lock(folder.lock_file()?, File::try_lock_shared).await?;
        let wrong = check(&folder).await?;
        drop(reading);
        if wrong.is_none() {
            return Ok(unpacked);
        }
        let _writing = lock(folder.lock_file()?, File::try_lock).await?;
        // another process may have mended it meanwhile
        let Some(wrong) = check(&folder).await? else {
            return Ok(unpacked);
        };
        let staging = blocking(move || folder.stage()).await?;
        for part in wrong {
            let what = format!("{} of {}", part.name, unpacked.manifest.name);
            let staging = staging.clone();
            if part.is_archive {
                let archive = self.fetch_archive(&what, part.blob, &blobs).await?;
                blocking(move || staging.unpack(&part, archive)).await?;
            } else {
                let file = self.fetch_blob(&what, part.blob, &blobs).await?;
                blocking(move || staging.link(&part, &file)).await?;
            }
        }
        blocking(move || staging.install()).await?;
        Ok(unpacked)
    }
}

async fn check(folder: &Folder) -> Result<Option<Vec<Part>>> {
    let folder = folder.clone();
    blocking(move || folder.wrong()).await
}

/// Runs what reads and writes files beside what waits for the network.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Waits for a lock, which the system releases when the file is closed, however the process ends. A caller may stop waiting.
async fn lock(
    (file, path): (File, PathBuf),
    attempt: fn(&File) -> std::result::Result<(), TryLockError>,
) -> Result<File> {
    loop {
        match attempt(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::Error(error)) => return Err(Error::file("lock", &path, &error)),
        }
    }
}
