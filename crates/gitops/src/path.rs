//! Paths into an object: `spec.template.spec.containers[name=server].image`.

use std::fmt;

/// One step from a node to a node below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The value of a key.
    Key(String),
    /// The item of a list at a place, from 0.
    Item(usize),
    /// The item of a list whose `name` this is: the same in a patch, where it may stand at another place.
    Named(String),
}

/// Steps from an object's top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Step>);

impl Path {
    /// A path of keys, written with dots.
    pub(crate) fn of(keys: &str) -> Self {
        Self(keys.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// The path with more keys, written with dots.
    pub(crate) fn key(&self, keys: &str) -> Self {
        let mut path = self.clone();
        path.0.extend(keys.split('.').map(|key| Step::Key(key.to_owned())));
        path
    }

    /// The path of an item of the list that this path leads to.
    pub(crate) fn item(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Item(index));
        path
    }

    /// The path of the item with a name.
    pub(crate) fn named(&self, name: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Named(name.to_owned()));
        path
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if index == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(item) => write!(f, "[{item}]")?,
                Step::Named(name) => write!(f, "[name={name}]")?,
            }
        }
        Ok(())
    }
}
