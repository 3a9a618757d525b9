//! Kubernetes objects: what names them, and where they come from.

use std::fmt;

use serde_json::Value as Json;

use crate::yaml::{Malformed, Node, documents};

/// What names an object in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Such as `apps`; empty for the core group.
    pub group: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// Empty for what has none.
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
    /// Its name, with the namespace that the Application gives it where it says none itself.
    pub id: Id,
    /// What it holds.
    pub node: Node,
    /// Where it comes from.
    pub(crate) origin: Origin,
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
}

/// The objects in what kustomize built from a folder, those without a namespace in `namespace`.
///
/// # Errors
/// When the text is not YAML.
pub fn built(text: &str, namespace: &str, folder: &str) -> Result<Vec<Object>, Malformed> {
    Ok(objects(documents(text)?, namespace, &Origin::Built(folder.to_owned())))
}

/// Where an object was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Built by kustomize from a folder: the places in [`Object::node`] mean nothing.
    Built(String),
    /// Read from a file as it is.
    File(String),
}

/// Kinds of the core and of the components used here that live in no namespace.
const CLUSTER_SCOPED: [&str; 33] = [
    "APIService",
    "CSIDriver",
    "CertificateSigningRequest",
    "ClusterExternalSecret",
    "ClusterIssuer",
    "ClusterQueue",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterSecretStore",
    "ClusterTrainingRuntime",
    "CustomResourceDefinition",
    "FlowSchema",
    "GatewayClass",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ResourceFlavor",
    "RuntimeClass",
    "StorageClass",
    "Topology",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
    "VolumeAttributesClass",
    "VolumeSnapshotClass",
    "WorkloadPriorityClass",
];

/// Whether objects of a kind live in no namespace.
pub(crate) fn is_cluster_scoped(kind: &str) -> bool {
    CLUSTER_SCOPED.contains(&kind)
}

/// `apps/v1` → `apps`, `v1` → ``
pub(crate) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// What a document names; none when it is no object. `namespace` is for those that say none and are not of the cluster.
pub(crate) fn id_of(node: &Node, namespace: &str) -> Option<Id> {
    let (api_version, kind) = (node.text_at("apiVersion")?, node.text_at("kind")?);
    let namespace = if is_cluster_scoped(kind) { "" } else { node.text_at("metadata.namespace").unwrap_or(namespace) };
    Some(Id {
        group: group_of(api_version).to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: node.text_at("metadata.name").or(node.text_at("metadata.generateName"))?.to_owned(),
    })
}

/// The documents of a text as objects, the items of a `List` each on its own; what is no object is left out.
pub(crate) fn objects(nodes: Vec<Node>, namespace: &str, origin: &Origin) -> Vec<Object> {
    let mut objects = Vec::with_capacity(nodes.len());
    for node in nodes {
        if node.text_at("kind").is_some_and(|kind| kind.ends_with("List")) && node.get("items").is_some() {
            objects.extend(self::objects(node.items_at("items").to_vec(), namespace, origin));
        } else if let Some(id) = id_of(&node, namespace) {
            objects.push(Object { id, node, origin: origin.clone() });
        }
    }
    objects
}
