//! A lock on a file that says which process holds it, and how far that process is.
//!
//! It is a POSIX record lock. The kernel keeps it for the process: it ends when the process does, whatever the reason, and no child
//! inherits it. A query (`F_GETLK`) takes nothing, so a reader never stands in a starter's way. Its answer names the process and
//! the lock's type, and the type is the stage: exclusive while the process starts, shared once it is ready.
//!
//! Two rules come with these locks. A process does not conflict with itself, and closing any file that it has open on the same
//! inode releases its lock. So this module remembers what this process holds, and never opens such a file a second time.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

/// The process that holds a state folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its id; `None` if it is not visible from here, such as a process of another container.
    pub pid: Option<u32>,
    /// Whether everything answers; otherwise it is starting or ending.
    pub ready: bool,
}

/// A lock that this process holds; released when dropped.
#[derive(Debug)]
pub(crate) struct Lock(FileId);

/// Device and inode.
type FileId = (u64, u64);

#[derive(Debug)]
struct Held {
    file: File,
    ready: bool,
}

static HELD: Mutex<BTreeMap<FileId, Held>> = Mutex::new(BTreeMap::new());

impl Lock {
    /// Takes the lock, not ready yet; the inner error is the process that has it.
    pub(crate) fn take(path: &Path) -> io::Result<Result<Self, Holder>> {
        let mut held = held();
        if let Some(own) = own(&held, path)? {
            return Ok(Err(own));
        }
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        loop {
            match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::AGAIN | Errno::ACCESS) => {}
                Err(error) => return Err(error.into()),
            }
            // otherwise it was released in between
            if let Some(holder) = query(&file)? {
                return Ok(Err(holder));
            }
        }
        let id = id(&file.metadata()?);
        held.insert(id, Held { file, ready: false });
        Ok(Ok(Self(id)))
    }

    /// Says whether the holder is ready.
    pub(crate) fn set_ready(&self, ready: bool) -> io::Result<()> {
        let mut held = held();
        let Some(lock) = held.get_mut(&self.0) else { return Ok(()) };
        let stage =
            if ready { FlockOperation::NonBlockingLockShared } else { FlockOperation::NonBlockingLockExclusive };
        // the kernel converts the lock in one step; nobody else holds one that could conflict
        fcntl_lock(&lock.file, stage)?;
        lock.ready = ready;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // closing the file releases the lock, while nobody in this process can take it
        held().remove(&self.0);
    }
}

/// The process that holds the lock; `None` if nobody does.
pub(crate) fn holder(path: &Path) -> io::Result<Option<Holder>> {
    let held = held();
    if let Some(own) = own(&held, path)? {
        return Ok(Some(own));
    }
    match File::open(path) {
        Ok(file) => query(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn held() -> MutexGuard<'static, BTreeMap<FileId, Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This process, if it holds the lock. Opens nothing.
fn own(held: &BTreeMap<FileId, Held>, path: &Path) -> io::Result<Option<Holder>> {
    match fs::metadata(path) {
        Ok(facts) => {
            let lock = held.get(&id(&facts));
            Ok(lock.map(|lock| Holder { pid: Some(std::process::id()), ready: lock.ready }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn query(file: &File) -> io::Result<Option<Holder>> {
    let lock = fcntl_getlk(file, &Flock::from(FlockType::WriteLock))?;
    Ok(lock.map(|lock| Holder {
        pid: lock.pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok()),
        ready: lock.typ == FlockType::ReadLock,
    }))
}

fn id(facts: &Metadata) -> FileId {
    (facts.dev(), facts.ino())
}
