//! Shows what the scheduler knows of the jobs as objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::job::objects;
use super::object::Key;
use super::store::Store;
use crate::listing::{Listed, Listing};

/// A job as it was shown last, and where its objects are.
struct Shown {
    listed: Arc<Listed>,
    keys: Vec<Key>,
}

/// Keeps the objects of all jobs as they are.
pub(super) struct Feed {
    listing: watch::Receiver<Listing>,
    shown: BTreeMap<String, Shown>,
}

impl Feed {
    pub(super) fn new(listing: watch::Receiver<Listing>) -> Self {
        Self { listing, shown: BTreeMap::new() }
    }

    /// Returns once every job is shown that main asks for: never if the scheduler ends before.
    pub(super) async fn complete(&mut self, store: &Store) {
        if self.listing.wait_for(|listing| listing.is_complete).await.is_err() {
            std::future::pending::<()>().await;
        }
        self.show(store).await;
    }

    /// Follows the jobs until the scheduler ends. They stay as they are then: they go on when the loop starts again.
    pub(super) async fn follow(mut self, store: &Store) {
        while self.listing.changed().await.is_ok() {
            self.show(store).await;
        }
    }

    async fn show(&mut self, store: &Store) {
        let now = self.listing.borrow_and_update().jobs.clone();
        let gone: Vec<String> = self.shown.keys().filter(|name| !now.contains_key(*name)).cloned().collect();
        for name in gone {
            let keys = self.shown.remove(&name).map(|before| before.keys);
            remove(keys.unwrap_or_default(), store);
        }
        for (name, listed) in now {
            if self.shown.get(&name).is_some_and(|before| Arc::ptr_eq(&before.listed, &listed)) {
                continue;
            }
            let objects = objects(&name, &listed);
            let keys: Vec<Key> = objects.iter().map(|object| object.key.clone()).collect();
            for object in objects {
                store.put(object);
            }
            let before = self.shown.insert(name, Shown { listed, keys: keys.clone() });
            let mut old = before.map(|before| before.keys).unwrap_or_default();
            old.retain(|key| !keys.contains(key));
            remove(old, store);
            // a loop that starts may have a thousand jobs
            tokio::task::yield_now().await;
        }
    }
}

/// Removes objects, those first that depend on others.
fn remove(keys: Vec<Key>, store: &Store) {
    for key in keys.iter().rev() {
        store.remove(key);
    }
}
