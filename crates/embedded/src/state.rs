//! The state folder: one loop at a time, known by a marker, and `state.json` while the loop runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, files};

/// Name and content of the file that says that a folder is ours.
const MARKER: (&str, &str) = ("slipway-state", "1\n");
const LOCK: &str = "lock";
const STATE: &str = "state.json";
/// The demo's own state folder lies inside that of `slipway up`.
const DEMO: &str = "demo";

/// Where the parts of a running loop are: `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The process that runs the loop.
    pub pid: u32,
    /// URL of the S3 endpoint.
    pub s3: String,
    /// URL of MLflow.
    pub mlflow: String,
    /// URL of the model server.
    pub server: String,
    /// URL of the page.
    pub page: String,
    /// The bare repository.
    pub forge: PathBuf,
}

impl State {
    /// The loop that runs in a state folder and is ready; none when there is none, whatever a killed one left there.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        if !is_locked(folder)? {
            return Ok(None);
        }
        let path = folder.join(STATE);
        let Some(text) = files::read_if_there(&path)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| Error::Malformed { path, reason: error.to_string() })
    }

    /// The loop that runs for a repository: that of `slipway up`, else that of `slipway demo`. With its state folder.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn of_repository(repository: &Path) -> Result<Option<(PathBuf, Self)>> {
        let up = repository.join(".slipway");
        for folder in [up.clone(), up.join(DEMO)] {
            if let Some(state) = Self::read(&folder)? {
                return Ok(Some((folder, state)));
            }
        }
        Ok(None)
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(STATE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Malformed { path: path.clone(), reason: error.to_string() })?;
        files::write(&path, text.as_bytes())
    }
}

/// Whether a process holds the folder's lock. The lock ends with its process, however that ended.
fn is_locked(folder: &Path) -> Result<bool> {
    let path = folder.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::file("reading", path)(error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(Error::file("locking", path)(error.into())),
    }
}

/// A state folder that this process holds.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    lock: File,
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        // Said, and not left to the closing of the file: a child that another thread starts just now has it open too.
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

impl StateFolder {
    /// Takes the folder, made when it is not there. `afresh` removes all that an earlier loop left in it, and only when the
    /// marker says that it is ours.
    ///
    /// # Errors
    /// When it is not ours, of another version, or in use.
    pub fn take(path: &Path, afresh: bool) -> Result<Self> {
        files::make_folder(path)?;
        let marker = path.join(MARKER.0);
        match files::read_if_there(&marker)? {
            Some(version) if version == MARKER.1 || afresh => {}
            Some(version) => {
                return Err(Error::OtherVersion { path: path.to_owned(), found: version.trim().to_owned() });
            }
            None if is_empty(path)? => {}
            None => return Err(Error::NotOurs(path.to_owned())),
        }
        let lock_path = path.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(Error::file("writing", &lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let pid = State::read(path).ok().flatten().map(|state| state.pid);
                return Err(Error::Locked { path: path.to_owned(), pid });
            }
            Err(error) => return Err(Error::file("locking", lock_path)(error.into())),
        }
        files::write(&marker, MARKER.1.as_bytes())?;
        let folder = Self { path: path.to_owned(), lock };
        if afresh {
            folder.wipe()?;
        }
        folder.forget()?;
        for part in ["s3", "jobs", "server", "logs", "cache/server"] {
            files::make_folder(&path.join(part))?;
        }
        Ok(folder)
    }

    /// Whether a process holds a folder, ready or not.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn is_held(path: &Path) -> Result<bool> {
        is_locked(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes `state.json`: nothing is ready any more.
    pub(crate) fn forget(&self) -> Result<()> {
        let path = self.path.join(STATE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("removing", path)(error)),
            _ => Ok(()),
        }
    }

    fn wipe(&self) -> Result<()> {
        for path in entries(&self.path)? {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| [MARKER.0, LOCK, DEMO].contains(&name)) {
                continue;
            }
            // A link is removed, not followed.
            let is_folder = path.symlink_metadata().is_ok_and(|facts| facts.is_dir());
            let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(Error::file("removing", path))?;
        }
        Ok(())
    }
}

/// Nothing is in it but what a first start makes before its marker.
fn is_empty(folder: &Path) -> Result<bool> {
    Ok(entries(folder)?.iter().all(|path| path.file_name().is_some_and(|name| name == DEMO || name == LOCK)))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    list().map_err(Error::file("reading", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let url = || "http://127.0.0.1:1".to_owned();
        State { pid: 7, s3: url(), mlflow: url(), server: url(), page: url(), forge: PathBuf::from("/forge.git") }
    }

    #[test]
    fn two_loops_cannot_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateFolder::take(folder.path(), false).unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), None);
        state().write(folder.path()).unwrap();
        assert_eq!(State::read(folder.path()).unwrap(), Some(state()));
        let refused = StateFolder::take(folder.path(), true).unwrap_err();
        assert!(matches!(refused, Error::Locked { pid: Some(7), .. }), "{refused}");
        drop(first);
        assert_eq!(State::read(folder.path()).unwrap(), None, "a dead loop's state is not believed");
        StateFolder::take(folder.path(), false).unwrap();
        assert!(!folder.path().join(STATE).exists());
    }

    #[test]
    fn only_our_own_folder_is_wiped() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.tex"), "precious").unwrap();
        assert!(matches!(StateFolder::take(folder.path(), true), Err(Error::NotOurs(_))));
        assert!(folder.path().join("thesis.tex").exists());

        let ours = folder.path().join("ours");
        drop(StateFolder::take(&ours, true).unwrap());
        fs::write(ours.join("mlflow.db"), "old").unwrap();
        drop(StateFolder::take(&ours, false).unwrap());
        assert!(ours.join("mlflow.db").exists());
        drop(StateFolder::take(&ours, true).unwrap());
        assert!(!ours.join("mlflow.db").exists());
        fs::write(ours.join(MARKER.0), "99\n").unwrap();
        assert!(matches!(StateFolder::take(&ours, false), Err(Error::OtherVersion { .. })));
        StateFolder::take(&ours, true).unwrap();
    }
}
