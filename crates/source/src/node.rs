//! YAML as a tree in which every key and every value has its position.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value as Json};

use crate::{Position, Scalar, scalar};

/// One value with its position.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins. A value that the text leaves out (`dataset:`) is where its key is.
    pub at: Position,
    /// The bytes of a scalar's text with its quotes; of a list or a map, those of its first character.
    pub bytes: Range<usize>,
    /// What it holds.
    pub value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// A scalar.
    Scalar {
        /// The text without its quotes; empty if the text leaves the value out.
        text: String,
        /// Whether it is written without quotes.
        plain: bool,
        /// What it means.
        meaning: Scalar,
    },
    /// A list.
    List(Vec<Node>),
    /// A map; no key is in it twice.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub key_at: Position,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value of a key. `None` if this is not a map or does not have the key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The value at a path of keys separated by dots.
    pub fn find(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// The text of a scalar; `None` for a list or a map.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text at a path of keys separated by dots; `None` if it is empty.
    pub fn text_at(&self, path: &str) -> Option<&str> {
        self.find(path).and_then(Self::text).filter(|text| !text.is_empty())
    }

    /// Whether the value at a path of keys separated by dots is `true`.
    pub fn is_true(&self, path: &str) -> bool {
        matches!(self.find(path), Some(Self { value: Value::Scalar { meaning: Scalar::Bool(true), .. }, .. }))
    }

    /// Whether this is null, or left out.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { meaning: Scalar::Null, .. })
    }

    /// The items of a list; empty for anything else.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The items of the list at a path of keys separated by dots.
    pub fn items_at(&self, path: &str) -> &[Self] {
        self.find(path).map(Self::items).unwrap_or_default()
    }

    /// The entries of a map; empty for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Keys and texts of the map at a path of keys separated by dots, such as `metadata.labels`. Lists and maps in it are left out.
    pub fn texts_at(&self, path: &str) -> BTreeMap<&str, &str> {
        let entries = self.find(path).map(Self::entries).unwrap_or_default();
        entries.iter().filter_map(|entry| Some((entry.key.as_str(), entry.value.text()?))).collect()
    }

    /// The same as JSON. What JSON does not have, infinite numbers and NaN, stays a string.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar { text, meaning, .. } => scalar::to_json(text, meaning),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => Json::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }
}
