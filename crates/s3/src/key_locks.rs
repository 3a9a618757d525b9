//! One lock for each key that is in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

type Key = (String, String);

/// Locks by bucket and key. Those that nobody holds are forgotten.
#[derive(Debug, Default)]
pub(crate) struct KeyLocks {
    locks: Mutex<HashMap<Key, Arc<RwLock<()>>>>,
}

/// Above this number of locks, those that nobody holds are removed.
const MANY: usize = 1024;

impl KeyLocks {
    /// Together with others that share it.
    pub(crate) async fn shared(&self, bucket: &str, key: &str) -> OwnedRwLockReadGuard<()> {
        self.lock(bucket, key).read_owned().await
    }

    /// Alone. Waits for those who read, who are never long.
    pub(crate) async fn alone(&self, bucket: &str, key: &str) -> OwnedRwLockWriteGuard<()> {
        self.lock(bucket, key).write_owned().await
    }

    /// Alone, if nobody has it.
    pub(crate) fn try_alone(&self, bucket: &str, key: &str) -> Option<OwnedRwLockWriteGuard<()>> {
        self.lock(bucket, key).try_write_owned().ok()
    }

    fn lock(&self, bucket: &str, key: &str) -> Arc<RwLock<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if locks.len() >= MANY {
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        locks.entry((bucket.to_owned(), key.to_owned())).or_default().clone()
    }
}
