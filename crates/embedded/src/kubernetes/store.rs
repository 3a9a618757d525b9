//! All objects, in memory, with the changes of the last while.
//!
//! Every change gets a version, higher than all before, as in etcd. A watch reads the changes since a version; it has no queue of its own,
//! so a slow one costs nothing. Once the changes since its version are forgotten, it is told so and lists again. A list in pages
//! shows one version: what has changed since is undone in what is read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use tokio::sync::watch;

use super::object::{Content, Key, Object};
use super::resource::Resource;

/// The most memory that changes keep, in bytes; about a thousand changes of a TrainJob.
const BACKLOG: usize = 4 << 20;

/// All objects.
#[derive(Debug)]
pub(super) struct Store {
    objects: Mutex<Objects>,
    /// The newest version.
    version: watch::Sender<u64>,
    /// The most bytes of the backlog.
    most: usize,
}

#[derive(Debug)]
struct Objects {
    version: u64,
    objects: BTreeMap<Key, Arc<Object>>,
    backlog: VecDeque<Arc<Change>>,
    /// Bytes of the backlog.
    size: usize,
    /// The changes up to this version are forgotten.
    forgotten: u64,
}

/// A change of an object.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    /// `None` if the object was made.
    pub(super) before: Option<Arc<Object>>,
    /// `None` if the object was deleted.
    pub(super) after: Option<Arc<Object>>,
}

/// What is asked for at a version whose changes are forgotten. Holds the oldest version that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forgotten(pub(super) u64);

impl Change {
    fn size(&self) -> usize {
        let of = |object: &Option<Arc<Object>>| object.as_ref().map_or(0, |object| object.size());
        // what came before is most likely in the backlog as well, and is counted twice
        of(&self.before) + of(&self.after) + size_of::<Self>()
    }
}

impl Store {
    /// An empty store. Its versions are higher than those of any earlier one, so nobody who knows one of those takes it for one of these.
    pub(super) fn new() -> Self {
        let milliseconds = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        Self::with(u64::try_from(milliseconds).unwrap_or(1), BACKLOG)
    }

    fn with(version: u64, most: usize) -> Self {
        let objects =
            Objects { version, objects: BTreeMap::new(), backlog: VecDeque::new(), size: 0, forgotten: version };
        Self { objects: Mutex::new(objects), version: watch::Sender::new(version), most }
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of each new version.
    pub(super) fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Object>> {
        self.lock().objects.get(key).cloned()
    }

    /// The objects of a kind in one namespace, or in all, in the order of their names; with the version of which they are. At an earlier
    /// version if one is given.
    ///
    /// # Errors
    /// If that version is forgotten, or is yet to come.
    pub(super) fn list(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        at: Option<u64>,
    ) -> Result<(u64, BTreeMap<Key, Arc<Object>>), Forgotten> {
        let all = self.lock();
        let at = at.unwrap_or(all.version);
        if at < all.forgotten || at > all.version {
            return Err(Forgotten(all.forgotten));
        }
        let is_asked = |key: &Key| key.resource == resource && namespace.is_none_or(|one| key.namespace == one);
        let first = Key::new(resource, namespace.unwrap_or_default(), "");
        let found = all.objects.range(first..).take_while(|(key, _)| is_asked(key));
        let mut found: BTreeMap<Key, Arc<Object>> = found.map(|(key, object)| (key.clone(), object.clone())).collect();
        let later = all.backlog.iter().rev().take_while(|change| change.version > at);
        for change in later.filter(|change| is_asked(&change.key)) {
            match &change.before {
                Some(before) => found.insert(change.key.clone(), before.clone()),
                None => found.remove(&change.key),
            };
        }
        Ok((at, found))
    }

    /// The changes after a version, and the version that is then reached.
    ///
    /// # Errors
    /// If they are forgotten, or the version is yet to come.
    pub(super) fn changes(&self, since: u64) -> Result<(u64, Vec<Arc<Change>>), Forgotten> {
        let all = self.lock();
        if since < all.forgotten || since > all.version {
            return Err(Forgotten(all.forgotten));
        }
        let from = all.backlog.partition_point(|change| change.version <= since);
        Ok((all.version, all.backlog.range(from..).cloned().collect()))
    }

    /// Makes an object, or changes it to this content; does nothing if it has that already. One with another uid takes the place of the
    /// one that is there.
    pub(super) fn put(&self, content: Content) {
        let key = content.key.clone();
        let made = Object::new(content);
        let mut all = self.lock();
        if let Some(before) = all.objects.get(&key) {
            if before.is_same(&made) {
                return;
            }
            if before.metadata().uid != made.metadata().uid {
                all.change(key.clone(), None, self.most);
            }
        }
        all.change(key, Some(made), self.most);
        self.publish(&all);
    }

    /// Deletes an object, if it is there.
    pub(super) fn remove(&self, key: &Key) {
        let mut all = self.lock();
        if all.objects.contains_key(key) {
            all.change(key.clone(), None, self.most);
            self.publish(&all);
        }
    }

    /// Replaces an object by what `change` makes of it, while nobody else can change it. Returns what is there then.
    ///
    /// # Errors
    /// Those of `change`.
    pub(super) fn update<E>(
        &self,
        key: &Key,
        change: impl FnOnce(Option<&Object>) -> Result<Content, E>,
    ) -> Result<Arc<Object>, E> {
        let mut all = self.lock();
        let before = all.objects.get(key).cloned();
        let made = Object::new(change(before.as_deref())?);
        if let Some(before) = before.filter(|before| before.is_same(&made)) {
            // as in Kubernetes, what changes nothing is no change
            return Ok(before);
        }
        let made = Arc::new(made.at(all.version + 1));
        all.record(key.clone(), Some(made.clone()), self.most);
        self.publish(&all);
        Ok(made)
    }

    /// Wakes those who wait for changes, before the next change.
    fn publish(&self, all: &Objects) {
        self.version.send_replace(all.version);
    }
}

impl Objects {
    /// Does a change.
    fn change(&mut self, key: Key, after: Option<Object>, most: usize) {
        let version = self.version + 1;
        self.record(key, after.map(|object| Arc::new(object.at(version))), most);
    }

    /// Does the change with the next version, and remembers it.
    fn record(&mut self, key: Key, after: Option<Arc<Object>>, most: usize) {
        self.version += 1;
        let before = match &after {
            Some(object) => self.objects.insert(key.clone(), object.clone()),
            None => self.objects.remove(&key),
        };
        let change = Change { version: self.version, key, before, after };
        self.size += change.size();
        self.backlog.push_back(Arc::new(change));
        while self.size > most {
            let Some(oldest) = self.backlog.pop_front() else { break };
            self.size -= oldest.size();
            self.forgotten = oldest.version;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn content(name: &str, uid: &str, value: &str) -> Content {
        let map = |value: Value| value.as_object().unwrap().clone();
        let key = Key::new(Resource::Pods, "training", name);
        Content { key, metadata: map(json!({ "uid": uid })), rest: map(json!({ "value": value })) }
    }

    fn names(list: &BTreeMap<Key, Arc<Object>>) -> Vec<(&str, String)> {
        list.iter().map(|(key, object)| (key.name.as_str(), object.value()["value"].to_string())).collect()
    }

    /// `+a`, `~a` and `-a` for an object that was made, changed and deleted.
    fn shown(changes: &[Arc<Change>]) -> Vec<String> {
        let mark = |change: &Change| match (&change.before, &change.after) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        changes.iter().map(|change| format!("{}{}", mark(change), change.key.name)).collect()
    }

    #[test]
    fn changes_have_versions_in_their_order() {
        let store = Store::with(10, BACKLOG);
        store.put(content("a", "1", "x"));
        store.put(content("a", "1", "x"));
        store.put(content("b", "2", "x"));
        store.put(content("a", "1", "y"));
        store.remove(&Key::new(Resource::Pods, "training", "b"));
        store.remove(&Key::new(Resource::Pods, "training", "b"));
        let (version, changes) = store.changes(10).unwrap();
        assert_eq!((version, shown(&changes)), (14, ["+a", "+b", "~a", "-b"].map(str::to_owned).to_vec()));
        assert_eq!(changes.iter().map(|change| change.version).collect::<Vec<_>>(), [11, 12, 13, 14]);
        assert_eq!(shown(&store.changes(13).unwrap().1), ["-b"]);
        assert!(store.changes(14).unwrap().1.is_empty());
        assert_eq!(*store.versions().borrow(), 14);
        // neither known any longer, nor yet
        assert_eq!(store.changes(9).unwrap_err(), Forgotten(10));
        assert!(store.changes(15).is_err());
    }

    #[test]
    fn another_object_of_the_same_name_is_not_a_change_of_the_first() {
        let store = Store::with(10, BACKLOG);
        store.put(content("a", "1", "x"));
        store.put(content("a", "2", "x"));
        let (_, changes) = store.changes(10).unwrap();
        assert_eq!(shown(&changes), ["+a", "-a", "+a"]);
        let key = Key::new(Resource::Pods, "training", "a");
        assert_eq!(store.get(&key).unwrap().version(), changes[2].version);
    }

    #[test]
    fn a_list_is_of_the_version_that_is_asked_for() {
        let store = Store::with(10, BACKLOG);
        store.put(content("a", "1", "x"));
        store.put(content("b", "2", "x"));
        let (at, first) = store.list(Resource::Pods, Some("training"), None).unwrap();
        store.put(content("a", "1", "y"));
        store.put(content("c", "3", "x"));
        store.remove(&Key::new(Resource::Pods, "training", "b"));
        let (_, again) = store.list(Resource::Pods, None, Some(at)).unwrap();
        assert_eq!(names(&again), names(&first));
        let (version, now) = store.list(Resource::Pods, None, None).unwrap();
        assert_eq!((version, names(&now)), (15, vec![("a", "\"y\"".to_owned()), ("c", "\"x\"".to_owned())]));
        for (resource, namespace) in [(Resource::Pods, Some("other")), (Resource::Events, None)] {
            assert!(store.list(resource, namespace, None).unwrap().1.is_empty());
        }
        assert!(store.list(Resource::Pods, None, Some(16)).is_err());
    }

    #[test]
    fn old_changes_are_forgotten_and_the_objects_are_not() {
        let store = Store::with(10, 2000);
        for number in 0..100 {
            store.put(content("a", "1", &number.to_string()));
        }
        let oldest = store.changes(10).unwrap_err().0;
        assert!(oldest > 90 && oldest < 110, "{oldest}");
        assert_eq!(store.changes(oldest).unwrap().1.len() as u64, 110 - oldest);
        assert!(store.list(Resource::Pods, None, Some(oldest - 1)).is_err());
        let (_, then) = store.list(Resource::Pods, None, Some(oldest)).unwrap();
        assert_eq!(names(&then), [("a", format!("\"{}\"", oldest - 11))]);
    }

    #[test]
    fn an_update_sees_what_is_there() {
        let store = Store::with(10, BACKLOG);
        let key = Key::new(Resource::Pods, "training", "a");
        let made = store.update(&key, |before| if before.is_none() { Ok(content("a", "1", "x")) } else { Err(()) });
        assert_eq!(made.unwrap().version(), 11);
        assert!(
            store.update(&key, |before| if before.is_none() { Ok(content("a", "1", "x")) } else { Err(()) }).is_err()
        );
        let same = store.update::<()>(&key, |_| Ok(content("a", "1", "x"))).unwrap();
        assert_eq!(same.version(), 11);
    }
}
