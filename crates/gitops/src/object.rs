//! Kubernetes objects: their identity and their origin.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;
use slipway_source::{Malformed, Node, Position, Value, documents};

use crate::Files;
use crate::application::{Application, Source};
use crate::locate::locate;
use crate::scope::{Scope, Scopes, group_of};

/// What identifies an object in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// The API group, such as `apps`; empty for the core group.
    pub group: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The namespace; empty for an object of the cluster.
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// An object that an Application would create.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its identity. An object that names no namespace has that of its Application.
    pub id: Id,
    /// Its content.
    pub node: Node,
    /// Where it was read.
    pub(crate) origin: Origin,
    /// The ApplicationSet whose template this is made from.
    pub(crate) made_by: Option<Arc<Object>>,
}

impl Object {
    /// As JSON, with the namespace that its Application gives it.
    pub fn to_json(&self) -> Json {
        let mut json = self.node.to_json();
        if let Some(metadata) = json.get_mut("metadata").and_then(Json::as_object_mut)
            && !self.id.namespace.is_empty()
        {
            metadata.entry("namespace").or_insert_with(|| Json::String(self.id.namespace.clone()));
        }
        json
    }

    /// Identifies it again, with what definitions say about the scopes of kinds.
    pub(crate) fn apply_scopes(&mut self, namespace: &str, scopes: &Scopes) {
        if let Some(id) = id_of(&self.node, namespace, scopes) {
            self.id = id;
        }
    }
}

/// The objects in what was rendered from a source in another repository. Those that name no namespace are in the Application's, unless they
/// belong to the cluster. A mistake in one of them is found where the Application names the source; `files` are those of the Application.
///
/// # Errors
/// If the text is not YAML.
pub fn from_upstream(
    files: &Files,
    application: &Application,
    source: &Source,
    text: &str,
) -> Result<Vec<Object>, Malformed> {
    let nodes = documents(text)?;
    let scopes = Scopes::defined_by(&nodes);
    let (file, at) = at_source(files, application, source);
    let origin = Origin::Upstream(file, at);
    let mut all = objects(nodes, &application.namespace, &origin, &scopes);
    all.retain(|object| !is_chart_test(object));
    Ok(all)
}

/// The file and the position at which an Application names a source.
pub fn at_source(files: &Files, application: &Application, source: &Source) -> (String, Position) {
    locate(files, &application.object, &source.at)
}

/// Whether it is only for `helm test`, or for a rollback by helm. Argo CD does not create such objects.
///
/// Source: <https://argo-cd.readthedocs.io/en/stable/user-guide/helm/#helm-hooks>
fn is_chart_test(object: &Object) -> bool {
    let annotations = object.node.texts_at("metadata.annotations");
    annotations.get("helm.sh/hook").is_some_and(|hooks| {
        hooks
            .split(',')
            .all(|hook| matches!(hook.trim(), "test" | "test-success" | "test-failure") || hook.contains("rollback"))
    })
}

/// Where an object was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Built by kustomize from a folder. The positions in [`Object::node`] mean nothing.
    Built(String),
    /// Read from a file as it is.
    File(String),
    /// Rendered from another repository. The file and the position are those of the Application's source.
    Upstream(String, Position),
}

/// Identifies a document; `None` if it is not an object. `namespace` is for an object that names none and does not belong to the cluster.
fn id_of(node: &Node, namespace: &str, scopes: &Scopes) -> Option<Id> {
    let (group, kind) = (group_of(node.text_at("apiVersion")?), node.text_at("kind")?);
    let namespace = match scopes.of(group, kind) {
        Some(Scope::Cluster) => "",
        Some(Scope::Namespace) | None => node.text_at("metadata.namespace").unwrap_or(namespace),
    };
    Some(Id {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: node.text_at("metadata.name").or(node.text_at("metadata.generateName"))?.to_owned(),
    })
}

/// What a document lacks that every object has; `None` if it is one, or a `List` of some.
pub(crate) fn lacks(node: &Node) -> Option<&'static str> {
    if !matches!(node.value, Value::Map(_)) {
        return Some("a map");
    }
    let is_list = node.text_at("kind").is_some_and(|kind| kind.ends_with("List")) && node.get("items").is_some();
    ["apiVersion", "kind", "metadata.name"].into_iter().find(|field| {
        let is_named = *field == "metadata.name" && (is_list || node.text_at("metadata.generateName").is_some());
        node.text_at(field).is_none() && !is_named
    })
}

/// The documents of a text as objects, with the items of each `List`. Documents that are not objects are left out; [`lacks`] says why.
pub(crate) fn objects(nodes: Vec<Node>, namespace: &str, origin: &Origin, scopes: &Scopes) -> Vec<Object> {
    let mut objects = Vec::with_capacity(nodes.len());
    for node in nodes {
        if node.text_at("kind").is_some_and(|kind| kind.ends_with("List")) && node.get("items").is_some() {
            objects.extend(self::objects(node.items_at("items").to_vec(), namespace, origin, scopes));
        } else if let Some(id) = id_of(&node, namespace, scopes) {
            objects.push(Object { id, node, origin: origin.clone(), made_by: None });
        }
    }
    objects
}
