//! Where in the repository a field of a built object was written.
//!
//! kustomize's output has no places. An object's kind and name are the same in its base and in every patch, so the field is looked for
//! in all documents with that kind and name that the build reads; the one that holds most of the path wins, and of several the one
//! nearest to the overlay, whose value is the one that counts.

use crate::Files;
use crate::kustomization::{below, file_of, reach};
use crate::object::{Object, Origin};
use crate::path::Path;
use crate::yaml::{Node, Place, documents};

/// The file and the place of a path in an object, or of the deepest part of it that is written anywhere.
pub(crate) fn locate(files: &Files, object: &Object, path: &Path) -> (String, Place) {
    match &object.origin {
        Origin::File(file) => (file.clone(), object.node.reach(path).1),
        Origin::Built(folder) => {
            let mut best: Option<(usize, String, Place)> = None;
            for folder in reach(files, folder) {
                for (file, node) in written(files, &folder, object) {
                    let (depth, place) = node.reach(path);
                    if best.as_ref().is_none_or(|(known, ..)| depth > *known) {
                        best = Some((depth, file, place));
                    }
                }
            }
            match best {
                Some((_, file, place)) => (file, place),
                None => generated(files, folder, object),
            }
        }
    }
}

/// The documents of a folder, not of the folders below that are built on their own, with the object's kind and name.
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

/// Where a generator names the object, else where the folder's kustomization begins.
fn generated(files: &Files, folder: &str, object: &Object) -> (String, Place) {
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
    (file_of(files, folder).unwrap_or_else(|| folder.to_owned()), Place::START)
}

/// A name without the hash of its content that a generator appends: ten characters of kustomize's own alphabet.
pub(crate) fn stem(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((stem, hash)) if hash.len() == 10 && hash.bytes().all(|byte| b"bcdfghkmt2456789".contains(&byte)) => stem,
        _ => name,
    }
}
