//! The objects of one kind, through interruptions of their watch.

use std::collections::BTreeMap;

use kube::runtime::watcher::Event;

/// A step of a watch.
#[derive(Debug)]
pub(super) enum Step<V> {
    /// A list begins.
    Begin,
    /// An object of the list.
    Listed(String, V),
    /// The list is complete: what is not in it is gone.
    End,
    /// An object is new or has changed.
    Set(String, V),
    /// An object is gone.
    Removed(String),
    /// An object that is not kept.
    Nothing,
}

impl<V> Step<V> {
    /// The step of an event; `keep` gives what is kept of an object, and under which name.
    pub(super) fn of<K>(event: Event<K>, keep: impl Fn(K) -> Option<(String, V)>) -> Self {
        let nothing = Self::Nothing;
        match event {
            Event::Init => Self::Begin,
            Event::InitApply(object) => keep(object).map_or(nothing, |(name, kept)| Self::Listed(name, kept)),
            Event::InitDone => Self::End,
            Event::Apply(object) => keep(object).map_or(nothing, |(name, kept)| Self::Set(name, kept)),
            Event::Delete(object) => keep(object).map_or(nothing, |(name, _)| Self::Removed(name)),
        }
    }
}

/// The objects of one kind by name.
#[derive(Debug)]
pub(super) struct Store<V> {
    pub(super) all: BTreeMap<String, V>,
    /// Those of a list that is not complete yet.
    listing: BTreeMap<String, V>,
    /// Whether a list was complete once.
    pub(super) is_listed: bool,
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self { all: BTreeMap::new(), listing: BTreeMap::new(), is_listed: false }
    }
}

impl<V: PartialEq> Store<V> {
    /// Takes a step; `changed` hears the name of each object that is other than before, with what it was and is.
    pub(super) fn take(&mut self, step: Step<V>, mut changed: impl FnMut(&str, Option<&V>, Option<&V>)) {
        match step {
            Step::Begin => self.listing.clear(),
            Step::Listed(name, object) => drop(self.listing.insert(name, object)),
            Step::End => {
                let before = std::mem::replace(&mut self.all, std::mem::take(&mut self.listing));
                self.is_listed = true;
                for (name, old) in before.iter().filter(|(name, _)| !self.all.contains_key(*name)) {
                    changed(name, Some(old), None);
                }
                for (name, new) in &self.all {
                    let old = before.get(name);
                    if old != Some(new) {
                        changed(name, old, Some(new));
                    }
                }
            }
            Step::Set(name, object) => {
                let old = self.all.get(&name);
                if old != Some(&object) {
                    changed(&name, old, Some(&object));
                    self.all.insert(name, object);
                }
            }
            Step::Removed(name) => {
                if let Some(old) = self.all.remove(&name) {
                    changed(&name, Some(&old), None);
                }
            }
            Step::Nothing => {}
        }
    }

    /// The objects whose names begin so.
    pub(super) fn beginning(&self, prefix: &str) -> impl Iterator<Item = &V> {
        let from = self.all.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        from.take_while(move |(name, _)| name.starts_with(prefix)).map(|(_, object)| object)
    }
}
