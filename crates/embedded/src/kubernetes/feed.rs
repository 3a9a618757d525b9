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

/// Follows the jobs until the scheduler ends.
pub(super) async fn follow(mut listing: watch::Receiver<Listing>, store: &Store) {
    let mut shown = BTreeMap::new();
    loop {
        let now = listing.borrow_and_update().clone();
        show(&mut shown, now, store).await;
        if listing.changed().await.is_err() {
            // its jobs stay as they are: they go on when the loop starts again
            return;
        }
    }
}

async fn show(shown: &mut BTreeMap<String, Shown>, now: Listing, store: &Store) {
    let gone: Vec<String> = shown.keys().filter(|name| !now.contains_key(*name)).cloned().collect();
    for name in gone {
        let keys = shown.remove(&name).map(|before| before.keys);
        remove(keys.unwrap_or_default(), store);
    }
    for (name, listed) in now {
        if shown.get(&name).is_some_and(|before| Arc::ptr_eq(&before.listed, &listed)) {
            continue;
        }
        let objects = objects(&name, &listed);
        let keys: Vec<Key> = objects.iter().map(|object| object.key.clone()).collect();
        for object in objects {
            store.put(object);
        }
        let before = shown.insert(name, Shown { listed, keys: keys.clone() });
        let mut old = before.map(|before| before.keys).unwrap_or_default();
        old.retain(|key| !keys.contains(key));
        remove(old, store);
        // a loop that starts may have a thousand jobs
        tokio::task::yield_now().await;
    }
}

/// Removes objects, those first that depend on others.
fn remove(keys: Vec<Key>, store: &Store) {
    for key in keys.iter().rev() {
        store.remove(key);
    }
}
