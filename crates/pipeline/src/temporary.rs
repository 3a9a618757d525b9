//! A folder for the temporary files of a run. What killed runs have left is removed by the next one.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Error, Result};

const PREFIX: &str = "run-";
const LOCK: &str = "lock";

/// A folder that is removed when it is dropped.
#[derive(Debug)]
pub struct Temporary {
    folder: TempDir,
    /// Locked as long as the process lives.
    _lock: File,
}

impl Temporary {
    /// A new folder in `parent`, which need not exist.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(parent: &Path) -> Result<Self> {
        let cannot = |error: std::io::Error| Error::file("create a folder in", parent, &error);
        std::fs::create_dir_all(parent).map_err(cannot)?;
        // nobody removes a folder whose lock is not yet taken
        let all = File::options().create(true).append(true).open(parent.join(LOCK)).map_err(cannot)?;
        all.lock().map_err(cannot)?;
        for abandoned in abandoned(parent).map_err(cannot)? {
            if let Err(error) = std::fs::remove_dir_all(&abandoned) {
                tracing::warn!("cannot remove {}: {error}", abandoned.display());
            }
        }
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).map_err(cannot)?;
        let lock = File::create_new(folder.path().join(LOCK)).map_err(cannot)?;
        lock.lock().map_err(cannot)?;
        Ok(Self { folder, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Folders of runs that have ended.
fn abandoned(parent: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut abandoned = Vec::new();
    for entry in std::fs::read_dir(parent)? {
        let path = entry?.path();
        let is_run = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
        let is_alive = || File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_err());
        if is_run && !is_alive() {
            abandoned.push(path);
        }
    }
    Ok(abandoned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path().join("new");
        let alive = Temporary::new(&parent).unwrap();
        let killed = Temporary::new(&parent).unwrap();
        let left = killed.folder.keep();
        std::fs::write(left.join("part"), "x").unwrap();
        drop(killed._lock);
        let next = Temporary::new(&parent).unwrap();
        assert!(!left.exists() && alive.path().exists() && next.path().exists());
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }
}
