//! Where the API server keeps the objects of a kind.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::Value;

use crate::connection::Cluster;
use crate::error::{Error, Result};
use crate::fields::{items, name, namespace, text};

/// A kind's name in paths, and whether its objects have a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    plural: String,
    namespaced: bool,
}

/// What the server said of kinds, by apiVersion and kind. What it did not know is asked again: a definition may have come since.
#[derive(Debug, Default)]
pub(crate) struct Kinds(Mutex<BTreeMap<(String, String), Kind>>);

impl Cluster {
    /// The path of an object.
    pub(crate) async fn path_of(&self, object: &Value) -> Result<String> {
        let (api_version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
        self.path(api_version, kind, namespace(object), name(object)).await
    }

    /// The path of an object that is named; of the list of them when `name` is empty.
    pub(crate) async fn path(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<String> {
        let Kind { plural, namespaced } = self.kind(api_version, kind).await?;
        let mut path = base(api_version);
        if namespaced && !namespace.is_empty() {
            path.push_str(&format!("/namespaces/{namespace}"));
        }
        path.push_str(&format!("/{plural}"));
        if !name.is_empty() {
            path.push_str(&format!("/{name}"));
        }
        Ok(path)
    }

    async fn kind(&self, api_version: &str, kind: &str) -> Result<Kind> {
        let key = (api_version.to_owned(), kind.to_owned());
        let known = || self.kinds.0.lock().ok().and_then(|kinds| kinds.get(&key).cloned());
        if let Some(kind) = known() {
            return Ok(kind);
        }
        let list = self.get(&base(api_version)).await?.unwrap_or_default();
        if let Ok(mut kinds) = self.kinds.0.lock() {
            // subresources have a slash
            for one in items(&list, "/resources").iter().filter(|one| !text(one, "/name").contains('/')) {
                let of = Kind {
                    plural: text(one, "/name").to_owned(),
                    namespaced: one.get("namespaced").and_then(Value::as_bool).unwrap_or(false),
                };
                kinds.insert((api_version.to_owned(), text(one, "/kind").to_owned()), of);
            }
        }
        known().ok_or_else(|| Error::UnknownKind { api_version: api_version.to_owned(), kind: kind.to_owned() })
    }
}

fn base(api_version: &str) -> String {
    if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") }
}
