//! What kustomize built.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// The output of `kustomize build`, or its error. What was not built is missing, and what depends on it is not checked.
#[derive(Clone, Debug, Default)]
pub struct Builds {
    /// By folder.
    pub folders: BTreeMap<String, Result<String, String>>,
    /// Folders that an Application changes before they are built.
    pub changed: BTreeMap<Changed, Result<String, String>>,
}

/// A folder with the changes that an Application's `source.kustomize` makes to its kustomization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changed {
    /// The folder.
    pub folder: String,
    /// The changes, as JSON.
    pub changes: String,
}

/// The changes that are made here, in the form of [`Changed::changes`].
const SUPPORTED: [&str; 9] = [
    "commonAnnotations",
    "commonLabels",
    "components",
    "images",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "patches",
    "replicas",
];

/// The first field of some changes that is not supported here; `None` if all are.
pub(crate) fn unsupported(changes: &Json) -> Option<&str> {
    let fields = changes.as_object()?.keys();
    fields.map(String::as_str).find(|field| !SUPPORTED.contains(field))
}
