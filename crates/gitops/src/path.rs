//! Paths into an object: `spec.template.spec.containers[name=server].image`.

use std::fmt;

use slipway_source::{Node, Position, Value};

/// One step from a node to a node below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The value of a key.
    Key(String),
    /// The item of a list at an index, from 0.
    Item(usize),
    /// The item of a list with this `name`. A patch has it too, maybe at another index.
    Named(String),
}

/// Steps from the root of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Step>);

impl Path {
    /// A path of keys separated by dots.
    pub(crate) fn of(keys: &str) -> Self {
        Self(keys.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// The path with more keys, separated by dots.
    pub(crate) fn key(&self, keys: &str) -> Self {
        let mut path = self.clone();
        path.0.extend(keys.split('.').map(|key| Step::Key(key.to_owned())));
        path
    }

    /// This path with another one behind it.
    pub(crate) fn then(&self, path: &Self) -> Self {
        Self([self.0.as_slice(), &path.0].concat())
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

    /// How many steps of this path exist below a node, and the position of the last of them.
    pub(crate) fn reach(&self, node: &Node) -> (usize, Position) {
        let (mut node, mut at) = (node, node.at);
        for (depth, step) in self.0.iter().enumerate() {
            let next = match step {
                Step::Key(key) => {
                    node.entries().iter().find(|entry| entry.key == *key).map(|entry| (&entry.value, entry.key_at))
                }
                Step::Item(index) => node.items().get(*index).map(|item| (item, item.at)),
                Step::Named(name) => node
                    .items()
                    .iter()
                    .find(|item| item.text_at("name") == Some(name.as_str()))
                    .map(|item| (item, item.at)),
            };
            let Some((below, below_at)) = next else { return (depth, at) };
            (node, at) = (below, below_at);
        }
        // a scalar is at its own position, a list or a map at that of its key
        (self.0.len(), if matches!(node.value, Value::Scalar { .. }) { node.at } else { at })
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

#[cfg(test)]
mod tests {
    use slipway_source::documents;

    use super::*;

    #[test]
    fn a_path_reaches_its_position() {
        let all = documents("---\n# nothing\n---\na:\n  b: [1, {name: x, c: 'two'}]\n").unwrap();
        let path = Path::of("a.b").named("x").key("c");
        assert_eq!(path.reach(&all[0]), (4, Position { line: 5, column: 23 }));
        assert_eq!(path.key("d.e").reach(&all[0]), (4, Position { line: 5, column: 20 }));
        assert_eq!(path.to_string(), "a.b[name=x].c");
    }
}
