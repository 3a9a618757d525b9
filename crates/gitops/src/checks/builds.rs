//! Every folder builds, and an Application deploys every overlay.

use std::collections::{BTreeMap, BTreeSet};

use slipway_source::{Finding, Node, Position, documents};

use crate::build_error::innermost;
use crate::environment::Environment;
use crate::kustomization::{file_of, is_folder, join, kustomizations, reach};
use crate::object::Origin;
use crate::remote::is_remote;
use crate::suggest::suggest_folder;
use crate::{Builds, Files};

/// How many of several files or folders a finding names.
const NAMED: usize = 3;

/// A kustomization that names a file or a folder which does not exist: its file, where, the name as written, and the path in the repository.
type Missing = (String, Position, String, String);

/// Folders that kustomize cannot build. One cause is one finding, however many folders it breaks, and is where the mistake is: in a base
/// rather than in the overlays that use it.
pub fn unbuildable(files: &Files, builds: &Builds) -> Vec<Finding> {
    let mut missing: BTreeMap<String, BTreeSet<Missing>> = BTreeMap::new();
    let mut reasons: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (folder, built) in &builds.folders {
        let Err(error) = built else { continue };
        let names = if error.contains("no such file") { missing_below(files, folder) } else { Vec::new() };
        if names.is_empty() {
            let (folder, reason) = innermost(files, folder, error);
            reasons.entry(reason).or_default().insert(folder);
        }
        for one in names {
            missing.entry(topmost_missing(files, &one.3)).or_default().insert(one);
        }
    }
    let missing = missing.into_iter().map(|(path, names)| does_not_exist(files, &path, &names));
    missing.chain(reasons.into_iter().map(|(reason, folders)| cannot_build(files, &reason, &folders))).collect()
}

/// What the kustomizations that a build reads name, and what does not exist.
fn missing_below(files: &Files, folder: &str) -> Vec<Missing> {
    let mut missing = Vec::new();
    for folder in reach(files, folder) {
        let Some(file) = file_of(files, &folder) else { continue };
        let text = files.get(&file).map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
        let nodes = documents(&text).unwrap_or_default();
        let named = nodes.iter().flat_map(|node| ["resources", "components"].map(|key| node.items_at(key))).flatten();
        for (node, name) in named.filter_map(|node: &Node| Some((node, node.text()?))) {
            // a remote source is not a path
            let path = join(&folder, name).filter(|_| !is_remote(files, &folder, name));
            if let Some(path) = path.filter(|path| !exists(files, path)) {
                missing.push((file.clone(), node.at, name.to_owned(), path));
            }
        }
    }
    missing
}

fn exists(files: &Files, path: &str) -> bool {
    files.contains_key(path) || is_folder(files, path)
}

/// The first part of a missing path that does not exist: `base` when all of it is missing.
fn topmost_missing(files: &Files, path: &str) -> String {
    let ends = path.match_indices('/').map(|(at, _)| at);
    ends.map(|at| &path[..at]).find(|part| !exists(files, part)).unwrap_or(path).to_owned()
}

fn does_not_exist(files: &Files, path: &str, names: &BTreeSet<Missing>) -> Finding {
    let from: BTreeSet<&str> = names.iter().map(|(file, ..)| file.as_str()).collect();
    let folder = if names.iter().any(|(.., whole)| whole != path) { "/" } else { "" };
    let (first, at) = names.first().map(|(file, at, ..)| (file.as_str(), *at)).unwrap_or((path, Position::START));
    let (message, help) = match names.first() {
        Some((.., name, _)) if names.len() == 1 => {
            (format!("`{name}` does not exist: there is no {path}"), suggest_folder(files, path))
        }
        _ => {
            let count = from.len();
            let kustomizations = if count == 1 { "kustomization names" } else { "kustomizations name" };
            let message = format!("{path}{folder} does not exist, and {count} {kustomizations} files there");
            (message, format!("restore it, or change what names it: {}", listed(from.into_iter())))
        }
    };
    Finding::at(first, at, "kustomize-build", message).with_help(help)
}

fn cannot_build(files: &Files, reason: &str, folders: &BTreeSet<String>) -> Finding {
    let first = folders.first().map(String::as_str).unwrap_or_default();
    let file = file_of(files, first).unwrap_or_else(|| first.to_owned());
    let what = match folders.len() {
        1 => first.to_owned(),
        many => format!("{many} folders ({})", listed(folders.iter().map(String::as_str))),
    };
    let help = format!("run `kustomize build {first}`; a component is built through a folder that uses it");
    Finding::at(&file, Position::START, "kustomize-build", format!("kustomize cannot build {what}: {reason}"))
        .with_help(help)
}

/// `a, b, c and 39 more`
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let shown = names.take(NAMED).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// Overlays of an environment that no Application deploys, neither directly nor as a part of another folder.
pub(super) fn not_synced(files: &Files, environment: &Environment) -> Vec<Finding> {
    if environment.unexpanded {
        return Vec::new();
    }
    let mut deployed: Vec<String> = Vec::new();
    for one in &environment.applications {
        for path in one.application.sources.iter().filter_map(|source| source.path.as_deref()) {
            deployed.extend(reach(files, path));
        }
        deployed.extend(one.objects.iter().filter_map(|object| match &object.origin {
            Origin::Built(folder) => Some(folder.clone()),
            Origin::File(_) | Origin::Upstream(..) => None,
        }));
    }
    let prefix = format!("overlays/{}/", environment.name);
    kustomizations(files)
        .into_iter()
        .filter(|one| one.folder.starts_with(&prefix) && !one.component && !deployed.contains(&one.folder))
        .map(|one| {
            let message = format!("no Application of {} deploys {}", environment.name, one.folder);
            Finding::at(&one.file, Position::START, "not-synced", message)
                .with_help(format!("add an Application to clusters/{}, or remove the folder", environment.name))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cause_is_one_finding() {
        let overlays = ["overlays/local/a", "overlays/local/b", "overlays/local/c", "overlays/local/d"];
        let files: Files = overlays
            .iter()
            .map(|folder| {
                let name = &folder[folder.len() - 1..];
                (format!("{folder}/kustomization.yaml"), format!("resources:\n- ../../../base/{name}\n").into_bytes())
            })
            .collect();
        let failing = |folders: &[&str], error: &str| Builds {
            folders: folders.iter().map(|folder| ((*folder).to_owned(), Err(error.to_owned()))).collect(),
            ..Builds::default()
        };
        let found = unbuildable(&files, &failing(&overlays, "Error: open /x/base/a: no such file or directory"));
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        let file = |name: &str| format!("overlays/local/{name}/kustomization.yaml");
        assert_eq!(shown, [format!("{}:2:3: base/ does not exist, and 4 kustomizations name files there", file("a"))]);
        let help =
            format!("restore it, or change what names it: {}, {}, {} and 1 more", file("a"), file("b"), file("c"));
        assert_eq!(found[0].help.as_deref(), Some(help.as_str()));

        let found = unbuildable(&files, &failing(&overlays, "Error: signal: killed\n"));
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        let folders = "overlays/local/a, overlays/local/b, overlays/local/c and 1 more";
        assert_eq!(shown, [format!("{}:1:1: kustomize cannot build 4 folders ({folders}): signal: killed", file("a"))]);

        let files: Files = [
            ("base/web/kustomization.yaml", "resources: []\n"),
            ("overlays/local/web/kustomization.yaml", "resources: [../../../base/wep]\n"),
        ]
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .into();
        let found =
            unbuildable(&files, &failing(&["overlays/local/web"], "open /x/base/wep: no such file or directory"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].message, "`../../../base/wep` does not exist: there is no base/wep");
        assert!(found[0].help.as_deref().unwrap().contains("did you mean `web`?"), "{found:?}");
    }
}
