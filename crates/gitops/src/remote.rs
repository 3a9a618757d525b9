//! Kustomizations that name something outside of this repository.
//!
//! A build of one needs the network, and depends on what is there at that time. So they are refused, and nothing is built from them.

use std::collections::BTreeSet;

use slipway_causes::without_password;
use slipway_source::{Finding, Node, documents};

use crate::Files;
use crate::kustomization::{Kustomization, file_of, is_folder, join, kustomizations, reach};

/// Fields that list paths.
const LISTS: [&str; 9] = [
    "bases",
    "components",
    "configurations",
    "crds",
    "generators",
    "patchesStrategicMerge",
    "resources",
    "transformers",
    "validators",
];

/// Fields that list maps, and the fields of these with a path or with a list of paths.
const IN_LISTS: [(&str, &str); 9] = [
    ("patches", "path"),
    ("patchesJson6902", "path"),
    ("replacements", "path"),
    ("configMapGenerator", "files"),
    ("configMapGenerator", "envs"),
    ("configMapGenerator", "env"),
    ("secretGenerator", "files"),
    ("secretGenerator", "envs"),
    ("secretGenerator", "env"),
];

/// The folders that kustomize can build from this repository alone, components left out, and a finding for each reference of the others to
/// somewhere else.
pub fn buildable(files: &Files) -> (Vec<String>, Vec<Finding>) {
    let all = kustomizations(files);
    let findings: Vec<Finding> = all.iter().flat_map(|one| references(files, one)).collect();
    let remote: BTreeSet<&str> = findings.iter().map(|finding| finding.file.as_str()).collect();
    let is_here = |folder: &String| {
        reach(files, folder)
            .iter()
            .all(|folder| file_of(files, folder).is_none_or(|file| !remote.contains(file.as_str())))
    };
    let folders = all.iter().filter(|one| !one.component).map(|one| one.folder.clone()).filter(is_here).collect();
    (folders, findings)
}

fn references(files: &Files, one: &Kustomization) -> Vec<Finding> {
    let text = files.get(&one.file).map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
    let mut findings = Vec::new();
    for node in documents(&text).unwrap_or_default() {
        for path in paths(&node) {
            let text = path.text().unwrap_or_default();
            // the files of a generator may be given as name=path
            let text = text
                .split_once('=')
                .map_or(text, |(name, path)| if name.contains(['/', ':', '?']) { text } else { path });
            if is_remote(files, &one.folder, text) {
                let shown = without_password(text);
                let message = format!("`{shown}` is not in this repository, so its content is not what was reviewed");
                findings.push(Finding::at(&one.file, path.at, "remote-base", message).with_help(
                    "copy it into this repository, or deploy it by an Application whose source is that repository at a tag or a commit",
                ));
            }
        }
    }
    findings
}

/// The texts of a kustomization that are paths.
fn paths(node: &Node) -> Vec<&Node> {
    let mut paths: Vec<&Node> = LISTS.iter().flat_map(|list| node.items_at(list)).collect();
    paths.extend(node.find("openapi.path"));
    for (list, field) in IN_LISTS {
        for value in node.items_at(list).iter().filter_map(|item| item.get(field)) {
            paths.push(value);
            paths.extend(value.items());
        }
    }
    paths
}

/// Whether kustomize would look for a path of a folder's kustomization somewhere else: an address, or the name of a repository.
pub(crate) fn is_remote(files: &Files, folder: &str, path: &str) -> bool {
    let here = join(folder, path).is_some_and(|path| files.contains_key(&path) || is_folder(files, &path));
    let lower = path.to_lowercase();
    let has_user =
        path.split_once('@').is_some_and(|(user, host)| !user.contains(['/', ':']) && host.contains([':', '/']));
    !here
        && !path.contains(char::is_whitespace)
        && (lower.contains("://")
            || lower.contains("?ref=")
            || ["git::", "gh:", "github.com/", "github.com:"].iter().any(|prefix| lower.starts_with(prefix))
            || has_user)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> Files {
        of.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn what_kustomize_would_fetch_is_remote() {
        let files = files(&[("base/a/x.yaml", ""), ("base/github.com/x.yaml", "")]);
        for remote in [
            "https://github.com/kubernetes-sigs/kustomize//examples/helloWorld/?ref=v1.0.6",
            "https://example.org/x.yaml",
            "HTTPS://example.org/x.yaml",
            "file:///srv/base",
            "github.com/kubernetes-sigs/kustomize?ref=main",
            "GitHub.com/acme/base",
            "git@github.com:acme/base.git",
            "git::https://example.org/base",
            "gh:acme/base",
            "ssh://git@example.org/base",
            "../base?ref=main",
        ] {
            assert!(is_remote(&files, "base", remote), "{remote}");
        }
        for local in [
            "a",
            "../base/a/x.yaml",
            "none.yaml",
            "./github.com",
            "github.com/x.yaml",
            "a@b.yaml",
            "apiVersion: v1\nurl: https://x",
        ] {
            assert!(!is_remote(&files, "base", local), "{local}");
        }
    }

    #[test]
    fn nothing_is_built_that_reaches_elsewhere() {
        let files = files(&[
            (
                "base/a/kustomization.yaml",
                "resources: [x.yaml]\nconfigMapGenerator: [{name: c, literals: ['u=https://x'], files: [k=y]}]\n",
            ),
            ("base/b/kustomization.yaml", "resources:\n  - https://example.org/x.yaml\n"),
            ("base/c/kustomization.yaml", "kind: Component\npatches: [{path: 'https://example.org/y'}]\n"),
            ("overlays/e/a/kustomization.yaml", "resources: [../../../base/a]\n"),
            ("overlays/e/b/kustomization.yaml", "resources: [../../../base/b]\n"),
            (
                "overlays/e/c/kustomization.yaml",
                "components: [../../../base/c]\nconfigMapGenerator: [{name: c, files: ['k=https://example.org/z']}]\n",
            ),
        ]);
        let (folders, findings) = buildable(&files);
        assert_eq!(folders, ["base/a", "overlays/e/a"]);
        let places: Vec<String> =
            findings.iter().map(|one| format!("{}:{}:{} {}", one.file, one.line, one.column, one.code)).collect();
        assert_eq!(
            places,
            [
                "base/b/kustomization.yaml:2:5 remote-base",
                "base/c/kustomization.yaml:2:18 remote-base",
                "overlays/e/c/kustomization.yaml:2:40 remote-base"
            ]
        );
    }
}
