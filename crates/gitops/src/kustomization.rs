//! Folders that kustomize builds, the other folders that each reads, and a digest of everything that a build depends on.
//!
//! Outside a kustomization's own folder, kustomize reads only other kustomizations that it names. So a build depends on the files of
//! those folders and on nothing else: what names something outside of the repository is not built.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use slipway_digest::Digest;
use slipway_source::{Node, Value, documents};

use crate::Files;

/// The names of kustomize's file, in the order in which it looks for them.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A folder that kustomize builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kustomization {
    /// The folder.
    pub folder: String,
    /// Its file, such as `base/mlflow/kustomization.yaml`.
    pub file: String,
    /// Whether it is a component, which is built only as a part of others.
    pub component: bool,
}

/// Every kustomization of the repository, by folder.
pub fn kustomizations(files: &Files) -> Vec<Kustomization> {
    let mut found: Vec<Kustomization> = Vec::new();
    for (path, bytes) in files {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if NAMES.contains(&name) && found.iter().all(|other| other.folder != folder) {
            // a file that is not YAML is built, so that kustomize says what is wrong with it
            let nodes = documents(&String::from_utf8_lossy(bytes)).unwrap_or_default();
            let component = nodes.first().and_then(|node| node.text_at("kind")) == Some("Component");
            found.push(Kustomization { folder: folder.to_owned(), file: path.clone(), component });
        }
    }
    found
}

/// The kustomization file of a folder; `None` if there is none.
pub(crate) fn file_of(files: &Files, folder: &str) -> Option<String> {
    NAMES.iter().map(|name| format!("{folder}/{name}")).find(|path| files.contains_key(path))
}

/// The folders that a build of this one reads, itself first.
pub(crate) fn reach(files: &Files, folder: &str) -> Vec<String> {
    let mut reached = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(folder) = reached.get(next).cloned() {
        next += 1;
        let Some(bytes) = file_of(files, &folder).and_then(|file| files.get(&file)) else { continue };
        let Ok(nodes) = documents(&String::from_utf8_lossy(bytes)) else { continue };
        let mut texts = Vec::new();
        nodes.iter().for_each(|node| collect(node, &mut texts));
        // Any text that happens to name a folder counts. One too many changes the digest too often; one too few gives a stale build.
        for text in texts {
            if let Some(path) = join(&folder, text)
                && !reached.contains(&path)
                && is_folder(files, &path)
            {
                reached.push(path);
            }
        }
    }
    reached
}

/// The SHA-256 of every file that a build of the folder depends on, as 64 hexadecimal digits. `changes` are those of an Application to its
/// kustomization, in the form of [`Changed::changes`](crate::Changed::changes).
pub fn digest(files: &Files, folder: &str, changes: Option<&str>) -> String {
    let mut hash = Sha256::new();
    let mut seen: BTreeSet<&String> = BTreeSet::new();
    let mut folders = reach(files, folder);
    for node in changes.into_iter().flat_map(|changes| documents(changes).unwrap_or_default()) {
        for component in node.items_at("components").iter().filter_map(Node::text).filter_map(|path| join(folder, path))
        {
            folders.extend(reach(files, &component));
        }
    }
    for folder in folders {
        for (path, bytes) in below(files, &folder) {
            if seen.insert(path) {
                hash.update((path.len() as u64).to_le_bytes());
                hash.update(path);
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(bytes);
            }
        }
    }
    Digest::from(hash).hex()
}

/// The files in and below a folder.
pub(crate) fn below<'a>(files: &'a Files, folder: &str) -> impl Iterator<Item = (&'a String, &'a Vec<u8>)> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    files.range(prefix.clone()..).take_while(move |(path, _)| path.starts_with(&prefix))
}

/// Whether a folder has any files.
pub(crate) fn is_folder(files: &Files, folder: &str) -> bool {
    below(files, folder).next().is_some()
}

/// The path that `relative` names as seen from a folder; `None` if it is absolute or leaves the repository.
pub(crate) fn join(folder: &str, relative: &str) -> Option<String> {
    if relative.starts_with('/') || relative.contains("://") || relative.len() > 512 {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn collect<'a>(node: &'a Node, texts: &mut Vec<&'a str>) {
    match &node.value {
        Value::Scalar { text, .. } => texts.push(text),
        Value::List(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Map(entries) => entries.iter().for_each(|entry| collect(&entry.value, texts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> Files {
        of.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_digest_covers_what_a_build_reads_and_nothing_else() {
        let mut files = files(&[
            ("base/a/kustomization.yaml", "resources: [x.yaml]\n"),
            ("base/a/x.yaml", "x"),
            ("base/b/kustomization.yaml", "resources: [y.yaml]\n"),
            ("base/b/y.yaml", "y"),
            ("base/c/kustomization.yaml", "kind: Component\n"),
            ("overlays/e/a/kustomization.yaml", "resources:\n- ../../../base/a\ncomponents: [../../../base/c]\n"),
        ]);
        assert_eq!(reach(&files, "overlays/e/a"), ["overlays/e/a", "base/a", "base/c"]);
        let components: Vec<_> = kustomizations(&files).into_iter().filter(|one| one.component).collect();
        assert_eq!(components.len(), 1);
        let before = digest(&files, "overlays/e/a", None);
        files.insert("base/b/y.yaml".to_owned(), b"z".to_vec());
        assert_eq!(digest(&files, "overlays/e/a", None), before);
        files.insert("base/a/x.yaml".to_owned(), b"z".to_vec());
        assert_ne!(digest(&files, "overlays/e/a", None), before);
    }

    #[test]
    fn paths_stay_in_the_repository() {
        assert_eq!(join("a/b", "../c").as_deref(), Some("a/c"));
        assert_eq!(join("a", "../..").as_deref(), None);
        assert_eq!(join("a", "https://example.org/x"), None);
    }
}
