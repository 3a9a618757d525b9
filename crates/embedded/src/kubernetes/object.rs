//! An object as it is stored: its JSON, to which the version of its last change is added when it is shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::resource::Resource;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) resource: Resource,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(resource: Resource, namespace: &str, name: &str) -> Self {
        Self { resource, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// The content of an object that is not stored yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    pub(super) key: Key,
    /// Everything of its `metadata` but name, namespace and version.
    pub(super) metadata: Map<String, Value>,
    /// Everything but `apiVersion`, `kind` and `metadata`.
    pub(super) rest: Map<String, Value>,
}

/// A stored object.
#[derive(Debug)]
pub(super) struct Object {
    /// Its JSON without a version.
    json: Box<str>,
    /// Where in it the version belongs: the beginning of its metadata.
    at: usize,
    /// When it was changed last.
    version: u64,
}

/// What of its metadata is looked at here.
#[derive(Deserialize)]
struct Partial {
    metadata: Metadata,
}

/// What of its metadata is looked at here.
#[derive(Deserialize)]
pub(super) struct Metadata {
    #[serde(default)]
    pub(super) uid: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

impl Object {
    /// Of a version that is yet to come.
    pub(super) fn new(content: Content) -> Self {
        let Content { key, metadata, rest } = content;
        let head = json!({ "apiVersion": key.resource.api_version(), "kind": key.resource.kind() }).to_string();
        let mut json = head.trim_end_matches('}').to_owned();
        json.push_str(",\"metadata\":{");
        let at = json.len();
        let mut all = Map::new();
        all.insert("name".to_owned(), key.name.into());
        all.insert("namespace".to_owned(), key.namespace.into());
        all.extend(metadata);
        // without its opening brace
        json.push_str(&Value::Object(all).to_string()[1..]);
        let rest = Value::Object(rest).to_string();
        if rest != "{}" {
            json.push(',');
        }
        json.push_str(&rest[1..]);
        Self { json: json.into(), at, version: 0 }
    }

    /// Changed last with this version.
    pub(super) fn at(self, version: u64) -> Self {
        Self { version, ..self }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Bytes in memory.
    pub(super) fn size(&self) -> usize {
        self.json.len() + size_of::<Self>()
    }

    /// Whether nothing but the version differs.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.json == other.json
    }

    /// Writes its JSON, with the version of its last change, or with another one for an object that was deleted then.
    pub(super) fn write(&self, version: u64, to: &mut String) {
        let (head, tail) = self.json.split_at(self.at);
        let _ = write!(to, "{head}\"resourceVersion\":\"{version}\",{tail}");
    }

    /// Its JSON.
    pub(super) fn shown(&self) -> String {
        let mut text = String::with_capacity(self.json.len() + 48);
        self.write(self.version, &mut text);
        text
    }

    /// Its JSON as a tree, without the version.
    pub(super) fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap_or_default()
    }

    pub(super) fn metadata(&self) -> Metadata {
        serde_json::from_str(&self.json)
            .map_or_else(|_| Metadata { uid: String::new(), labels: BTreeMap::new() }, |Partial { metadata }| metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(metadata: Value, rest: Value) -> Content {
        let map = |value: Value| value.as_object().unwrap().clone();
        Content { key: Key::new(Resource::Leases, "n", "a"), metadata: map(metadata), rest: map(rest) }
    }

    #[test]
    fn an_object_is_shown_with_its_version() {
        for (metadata, rest) in
            [(json!({}), json!({})), (json!({"uid": "u", "labels": {"a": "\"}{"}}), json!({"spec": {"metadata": {}}}))]
        {
            let object = Object::new(content(metadata.clone(), rest.clone())).at(7);
            let mut expected = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"});
            expected["metadata"] = json!({"resourceVersion": "7", "name": "a", "namespace": "n"});
            expected["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
            expected.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            assert_eq!(serde_json::from_str::<Value>(&object.shown()).unwrap(), expected);
            assert!(object.is_same(&Object::new(content(metadata, rest)).at(8)));
        }
        let object = Object::new(content(json!({"uid": "u", "labels": {"a": "b"}}), json!({}))).at(7);
        assert_eq!((object.metadata().uid.as_str(), object.metadata().labels["a"].as_str()), ("u", "b"));
    }
}
