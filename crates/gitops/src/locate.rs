//! Where in the repository a field of a built object was written.
//!
//! The output of kustomize has no positions. An object has the same kind and name in its base and in every patch, so the field is looked
//! up in all documents with that kind and name that the build reads. The document that has most of the path wins; of several, the one
//! nearest to the overlay, because its value is the one that counts.

use slipway_source::{Node, Position, documents};

use crate::Files;
use crate::kustomization::{below, file_of, reach};
use crate::object::{Object, Origin};
use crate::path::Path;

/// The file and the position of a path in an object, or of the deepest part of it that is written anywhere.
pub(crate) fn locate(files: &Files, object: &Object, path: &Path) -> (String, Position) {
    if let Some(set) = &object.made_by {
        return locate(files, set, &Path::of("spec.template").then(path));
    }
    match &object.origin {
        Origin::File(file) => (file.clone(), path.reach(&object.node).1),
        Origin::Upstream(file, at) => (file.clone(), *at),
        Origin::Built(folder) => {
            let mut best: Option<(usize, String, Position)> = None;
            for folder in reach(files, folder) {
                for (file, node) in written(files, &folder, object) {
                    let (depth, at) = path.reach(&node);
                    if best.as_ref().is_none_or(|(deepest, ..)| depth > *deepest) {
                        best = Some((depth, file, at));
                    }
                }
            }
            match best {
                Some((_, file, at)) => (file, at),
                None => generated(files, folder, object),
            }
        }
    }
}

/// The documents in and below a folder that have the object's kind and name.
fn written(files: &Files, folder: &str, object: &Object) -> Vec<(String, Node)> {
    let mut found = Vec::new();
    for (file, bytes) in below(files, folder) {
        let text = String::from_utf8_lossy(bytes);
        if !(file.ends_with(".yaml") || file.ends_with(".yml")) || !text.contains(&object.id.name) {
            continue;
        }
        let nodes = documents(&text).unwrap_or_default();
        found.extend(nodes.into_iter().filter(|node| is_of(node, object)).map(|node| (file.clone(), node)));
    }
    found
}

fn is_of(node: &Node, object: &Object) -> bool {
    node.text_at("kind") == Some(&object.id.kind)
        && node.text_at("metadata.name") == Some(&object.id.name)
        && node.text_at("metadata.namespace").is_none_or(|namespace| {
            // a transformer may have moved it
            namespace == object.id.namespace || object.id.namespace.is_empty()
        })
}

/// Where a generator names the object, otherwise the start of the folder's kustomization.
fn generated(files: &Files, folder: &str, object: &Object) -> (String, Position) {
    let stem = stem(&object.id.name);
    for folder in reach(files, folder) {
        let Some((file, bytes)) = file_of(files, &folder).and_then(|file| files.get_key_value(&file)) else { continue };
        for node in documents(&String::from_utf8_lossy(bytes)).unwrap_or_default() {
            for list in ["configMapGenerator", "secretGenerator"] {
                for item in node.items_at(list) {
                    if item.text_at("name").is_some_and(|name| name == object.id.name || name == stem) {
                        return (file.clone(), item.at);
                    }
                }
            }
        }
    }
    (file_of(files, folder).unwrap_or_else(|| folder.to_owned()), Position::START)
}

/// A name without the hash that a generator appends: ten characters of kustomize's own alphabet.
pub(crate) fn stem(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((stem, hash)) if hash.len() == 10 && hash.bytes().all(|byte| b"bcdfghkmt2456789".contains(&byte)) => stem,
        _ => name,
    }
}
