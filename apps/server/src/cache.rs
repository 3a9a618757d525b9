//! The folder of downloaded versions: how much it may hold, and what is removed from it.
//!
//! Versions in service stay. Of the others, those that were used last stay, up to a number and to a size. One server uses the folder.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use slipway_digest::Digest;
use tempfile::TempDir;

/// How many versions that are not in service stay.
const RECENT: usize = 8;
/// The beginning of the name of an incomplete download.
const PART: &str = ".part-";

/// The folder. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    most: u64,
    held: Arc<Mutex<Held>>,
}

/// What must not be removed, and what is still to come.
#[derive(Debug, Default)]
struct Held {
    in_service: BTreeSet<Digest>,
    in_use: Vec<Digest>,
    /// Bytes of downloads that have begun.
    coming: u64,
}

/// A version that is being used, and so is not removed.
#[derive(Debug)]
pub struct InUse(Cache, Digest);

/// A folder for a download, with room for its bytes. It is removed when this is dropped.
#[derive(Debug)]
pub struct Part {
    folder: TempDir,
    cache: Cache,
    bytes: u64,
}

struct Kept {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
    digest: Option<Digest>,
}

impl Kept {
    fn is_held(&self, held: &Held) -> bool {
        self.digest.is_some_and(|digest| held.in_service.contains(&digest) || held.in_use.contains(&digest))
    }
}

impl Cache {
    /// `<folder>/models`, with at most `most` bytes. What a killed server has left incomplete or unpacked is removed.
    pub fn open(folder: &Path, most: u64) -> Self {
        let cache = Self { folder: folder.join("models"), most, held: Arc::default() };
        let unpacked = temporary(folder);
        if unpacked.exists() {
            remove(&unpacked);
        }
        if let Err(error) = std::fs::create_dir_all(&unpacked) {
            tracing::warn!(event = "not_writable", "{}: {error}; compiled models cannot be loaded", unpacked.display());
        }
        for entry in std::fs::read_dir(&cache.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(PART) {
                remove(&entry.path());
            }
        }
        cache
    }

    /// Where a version is, or will be: `sha256-<hex>`.
    pub fn of(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("sha256-{}", digest.hex()))
    }

    /// Marks a version as used now, and keeps it until the value is dropped.
    pub fn use_now(&self, digest: Digest) -> InUse {
        self.held().in_use.push(digest);
        // The time is only an order, in which others are removed first.
        let _ = File::open(self.of(&digest)).and_then(|folder| folder.set_modified(SystemTime::now()));
        InUse(self.clone(), digest)
    }

    /// Sets which versions are in service, and removes what is no longer needed.
    pub fn keep(&self, in_service: BTreeSet<Digest>) {
        let mut held = self.held();
        held.in_service = in_service;
        self.prune(&held, 0);
    }

    /// A folder for a download of this many bytes. Other versions are removed to make room for it.
    ///
    /// # Errors
    /// When there is no room, or the folder cannot be written.
    pub fn part(&self, bytes: u64) -> Result<Part, String> {
        let writing = |error: std::io::Error| format!("writing {}: {error}", self.folder.display());
        std::fs::create_dir_all(&self.folder).map_err(writing)?;
        let mut held = self.held();
        let stays: u64 = self.kept().iter().filter(|kept| kept.is_held(&held)).map(|kept| kept.bytes).sum();
        let room = self.most.saturating_sub(stays).saturating_sub(held.coming);
        if bytes > room {
            return Err(format!(
                "it takes {}, but of the cache's {} only {} are left beside what is in service: raise SLIPWAY_CACHE_MIB",
                mib(bytes),
                mib(self.most),
                mib(room),
            ));
        }
        self.prune(&held, bytes);
        let folder = tempfile::Builder::new().prefix(PART).tempdir_in(&self.folder).map_err(writing)?;
        held.coming += bytes;
        drop(held);
        Ok(Part { folder, cache: self.clone(), bytes })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes versions that are not held, the least recently used first, until the number fits, and the size with `bytes` more.
    fn prune(&self, held: &Held, bytes: u64) {
        let (stay, mut others): (Vec<Kept>, Vec<Kept>) = self.kept().into_iter().partition(|kept| kept.is_held(held));
        others.sort_by_key(|kept| kept.used);
        let most = self.most.saturating_sub(bytes).saturating_sub(held.coming);
        let mut left: u64 = stay.iter().chain(&others).map(|kept| kept.bytes).sum();
        let mut number = others.len();
        for kept in others {
            if number <= RECENT && left <= most {
                break;
            }
            if remove(&kept.path) {
                left -= kept.bytes;
                number -= 1;
            }
        }
    }

    /// The complete versions in the folder.
    fn kept(&self) -> Vec<Kept> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(hex) = name.strip_prefix("sha256-") else { continue };
            let path = entry.path();
            let bytes = size(&path);
            let used = entry.metadata().and_then(|folder| folder.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            all.push(Kept { path, bytes, used, digest: Digest::from_hex(hex).ok() });
        }
        all
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let Self(cache, digest) = self;
        let mut held = cache.held();
        if let Some(at) = held.in_use.iter().position(|other| other == digest) {
            held.in_use.swap_remove(at);
        }
    }
}

impl Part {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.cache.held().coming -= self.bytes;
    }
}

/// Where libtorch unpacks compiled packages while they are loaded.
pub fn temporary(folder: &Path) -> PathBuf {
    folder.join("unpacked")
}

/// Removes a folder, and returns whether it is gone.
fn remove(folder: &Path) -> bool {
    match std::fs::remove_dir_all(folder) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(event = "not_removed", "{} cannot be removed: {error}", folder.display());
            false
        }
    }
}

/// The bytes of all files below a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => size(&entry.path()),
        found => found.map_or(0, |found| found.len()),
    };
    entries.map(of).sum()
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A version of `bytes` bytes, used at `second`.
    fn version(cache: &Cache, name: &str, bytes: usize, second: u64) -> Digest {
        let digest = Digest::of(name);
        let folder = cache.of(&digest);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("model.safetensors"), vec![0; bytes]).unwrap();
        let used = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
        File::open(folder).unwrap().set_modified(used).unwrap();
        digest
    }

    #[test]
    fn what_was_used_last_and_what_is_in_service_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1 << 30);
        let all: Vec<Digest> = (0..20).map(|at| version(&cache, &format!("v{at}"), 10, 1000 + at)).collect();
        let used = cache.use_now(all[1]);
        cache.keep(BTreeSet::from([all[0]]));
        let left = |at: usize| cache.of(&all[at]).exists();
        assert_eq!((0..20).filter(|at| left(*at)).collect::<Vec<_>>(), [&[0, 1][..], &Vec::from_iter(12..20)].concat());
        // Now it is the one that was used last.
        drop(used);
        cache.keep(BTreeSet::new());
        assert_eq!((0..20).filter(|at| left(*at)).collect::<Vec<_>>(), [&[1][..], &Vec::from_iter(13..20)].concat());
    }

    #[test]
    fn a_download_gets_room_or_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 100 << 20);
        let [served, old, new] =
            [("served", 1), ("old", 2), ("new", 3)].map(|(name, second)| version(&cache, name, 30 << 20, second));
        cache.keep(BTreeSet::from([served]));
        let there = || [served, old, new].map(|digest| cache.of(&digest).exists());
        let first = cache.part(10 << 20).unwrap();
        // What is being downloaded counts. Nothing is removed for what is refused.
        let error = cache.part(61 << 20).unwrap_err();
        assert!(error.contains("takes 61 MiB") && error.contains("100 MiB only 60 MiB"), "{error}");
        assert_eq!(there(), [true; 3]);
        let second = cache.part(1 << 20).unwrap();
        assert_eq!(there(), [true, false, true]);
        let path = first.path().to_owned();
        drop((first, second));
        assert!(!path.exists());
        assert!(cache.part(70 << 20).is_ok());
        assert_eq!(there(), [true, false, false]);
    }

    #[test]
    fn what_a_killed_server_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1 << 20);
        let kept = version(&cache, "kept", 1, 1);
        let part = cache.part(1).unwrap();
        std::fs::write(part.path().join("model.safetensors"), b"half").unwrap();
        let path = part.path().to_owned();
        std::mem::forget(part);
        let cache = Cache::open(folder.path(), 1 << 20);
        assert!(!path.exists() && cache.of(&kept).exists());
    }
}
