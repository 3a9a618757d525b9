//! The state folder: one loop at a time, recognised by a marker file.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

use crate::lock::{self, Holder, Lock};
use crate::{Error, Result, files};

/// Name and content of the file that says that a folder is ours.
const MARKER: (&str, &str) = ("slipway-state", "1\n");
const LOCK: &str = "lock";
/// Where the parts of the loop are; see [`crate::State`].
pub(crate) const STATE: &str = "state.json";
/// The demo's own state folder lies inside that of `slipway up`.
const DEMO: &str = "demo";

/// A state folder that this process holds.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    lock: Lock,
}

impl StateFolder {
    /// Takes the folder, and creates it if it does not exist. `afresh` removes all that an earlier loop left in it, but only if the
    /// marker says that it is ours.
    ///
    /// # Errors
    /// When it is not ours, of another version, or in use.
    pub fn take(path: &Path, afresh: bool) -> Result<Self> {
        files::make_folder(path)?;
        let marker = path.join(MARKER.0);
        let found = files::read_if_there(&marker)?;
        match &found {
            Some(version) if version == MARKER.1 || afresh => {}
            Some(version) => {
                return Err(Error::OtherVersion { path: path.to_owned(), found: version.trim().to_owned() });
            }
            None if is_empty(path)? => {}
            // another process may have begun to fill it just now
            None => match Self::holder(path)? {
                Some(holder) => return Err(Error::Locked { path: path.to_owned(), pid: holder.pid }),
                None => return Err(Error::NotOurs(path.to_owned())),
            },
        }
        let lock_path = path.join(LOCK);
        let lock = Lock::take(&lock_path)
            .map_err(Error::file("locking", &lock_path))?
            .map_err(|holder| Error::Locked { path: path.to_owned(), pid: holder.pid })?;
        if found.as_deref() != Some(MARKER.1) {
            files::write_durably(&marker, MARKER.1.as_bytes())?;
        }
        let folder = Self { path: path.to_owned(), lock };
        if afresh {
            folder.wipe()?;
        }
        folder.forget()?;
        for part in ["s3/landing", "jobs", "server", "logs", "cache/server", "cache/manager", "cache/monitor"] {
            files::make_folder(&path.join(part))?;
        }
        Ok(folder)
    }

    /// The process that holds a folder, ready or not; `None` if nobody does. The kernel answers: nothing that a dead process left behind counts.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn holder(path: &Path) -> Result<Option<Holder>> {
        let path = path.join(LOCK);
        lock::holder(&path).map_err(Error::file("reading", path))
    }

    /// The state folders of a repository: that of `slipway up`, then that of `slipway demo`.
    pub fn of_repository(repository: &Path) -> [PathBuf; 2] {
        let up = repository.join(".slipway");
        let demo = up.join(DEMO);
        [up, demo]
    }

    /// Sends SIGTERM to the process that holds a folder, and to no other; returns its id, or `None` if nobody holds the folder.
    ///
    /// # Errors
    /// When the process is not visible from here, or this user may not signal it.
    pub fn terminate_holder(path: &Path) -> Result<Option<u32>> {
        loop {
            let Some(holder) = Self::holder(path)? else { return Ok(None) };
            let hidden = || Error::HiddenHolder(path.to_owned());
            let id = holder.pid.ok_or_else(hidden)?;
            let pid = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(hidden)?;
            let still_holds = || Ok::<_, Error>(Self::holder(path)?.is_some_and(|now| now.pid == holder.pid));
            match terminate(pid, still_holds)? {
                Ok(true) => return Ok(Some(id)),
                // It ended in between: whoever holds the folder now, if anybody, is asked instead.
                Ok(false) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(Error::Signal { pid: id, source: error.into() }),
            }
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes `state.json`: the loop is not ready, or no longer.
    pub(crate) fn forget(&self) -> Result<()> {
        self.set_ready(false)?;
        let path = self.path.join(STATE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("removing", path)(error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn set_ready(&self, ready: bool) -> Result<()> {
        self.lock.set_ready(ready).map_err(Error::file("locking", self.path.join(LOCK)))
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

/// Sends SIGTERM if the process still holds what it held; `false` if it does not.
///
/// The descriptor stands for one process for ever. A process that holds the lock after it was opened, and has that id, is that process:
/// no id is given out twice at a time. So a stranger that got the id of a loop that has ended is never signalled.
#[cfg(target_os = "linux")]
fn terminate(pid: Pid, still_holds: impl Fn() -> Result<bool>) -> Result<rustix::io::Result<bool>> {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(error) => return Ok(Err(error)),
    };
    if !still_holds()? {
        return Ok(Ok(false));
    }
    Ok(pidfd_send_signal(&process, Signal::TERM).map(|()| true))
}

/// Sends SIGTERM if the process still holds what it held; `false` if it does not. Other systems have no descriptor of a process.
#[cfg(not(target_os = "linux"))]
fn terminate(pid: Pid, still_holds: impl Fn() -> Result<bool>) -> Result<rustix::io::Result<bool>> {
    if !still_holds()? {
        return Ok(Ok(false));
    }
    Ok(rustix::process::kill_process(pid, Signal::TERM).map(|()| true))
}

/// Whether it holds nothing but what a first start creates before the marker.
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

    #[test]
    fn nobody_is_signalled_where_nobody_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(StateFolder::terminate_holder(folder.path()).unwrap(), None);
        drop(StateFolder::take(folder.path(), false).unwrap());
        assert_eq!(StateFolder::terminate_holder(folder.path()).unwrap(), None);
    }
}
