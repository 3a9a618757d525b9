//! Every folder builds, and an Application deploys every overlay.

use slipway_source::{Finding, Position};

use crate::environment::Environment;
use crate::kustomization::{file_of, kustomizations, reach};
use crate::object::Origin;
use crate::{Builds, Files};

/// Folders that kustomize cannot build. The finding is at the folder with the mistake, so that one mistake in a base is one finding.
pub(super) fn findings(files: &Files, builds: &Builds) -> Vec<Finding> {
    let failed = builds.iter().filter_map(|(folder, built)| Some((folder, built.as_ref().err()?)));
    failed
        .map(|(folder, error)| {
            let (folder, reason) = innermost(files, folder, error);
            let file = file_of(files, &folder).unwrap_or_else(|| folder.clone());
            let message = format!("kustomize cannot build {folder}: {reason}");
            Finding::at(&file, Position::START, "kustomize-build", message)
                .with_help("run `kustomize build` on this folder, or on one that uses it as a component")
        })
        .collect()
}

/// The innermost folder of this repository that kustomize's error names, and the reason. The error holds the whole way there, each step
/// with an absolute path and the next step quoted inside.
fn innermost(files: &Files, folder: &str, error: &str) -> (String, String) {
    let line = error.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it gave no reason");
    let text = line.trim_start_matches("Error: ").replace('\\', "");
    let paths = text.match_indices("path '/").filter_map(|(at, _)| text[at + "path '".len()..].split_once('\''));
    let inner = paths.filter_map(|(path, rest)| Some((path, below_root(files, path)?, rest))).last();
    match inner {
        Some((path, folder, rest)) => {
            let root = path.strip_suffix(&folder).unwrap_or_default();
            let rest = rest.trim_start_matches([':', ' ']).trim_end();
            // a single quote belongs to the step outside
            let odd = rest.matches('"').count() % 2 == 1;
            let rest = if odd { rest.strip_suffix('"').unwrap_or(rest) } else { rest };
            (folder, rest.replace(root, ""))
        }
        None => (folder.to_owned(), text),
    }
}

/// The folder of a kustomization that an absolute path leads to, wherever the repository is.
fn below_root(files: &Files, path: &str) -> Option<String> {
    let mut ends = path.match_indices('/').map(|(at, _)| &path[at + 1..]);
    ends.find(|end| file_of(files, end).is_some()).map(str::to_owned)
}

/// Overlays of an environment that no Application deploys, neither directly nor as a part of another folder.
pub(super) fn not_synced(files: &Files, environment: &Environment) -> Vec<Finding> {
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
    fn the_innermost_folder_has_the_mistake() {
        let files: Files = ["base/server", "base/settings", "overlays/local/server"]
            .iter()
            .map(|folder| (format!("{folder}/kustomization.yaml"), Vec::new()))
            .collect();
        let error = "Error: accumulating resources: accumulation err='accumulating resources from '../../../base/server': \
                    '/w/x/base/server' must resolve to a file': recursed accumulation of path '/w/x/base/server': accumulating \
                    resources from 'none.yaml': lstat /w/x/base/server/none.yaml: no such file or directory\n";
        let text = "accumulating resources from 'none.yaml': lstat base/server/none.yaml: no such file or directory";
        assert_eq!(innermost(&files, "overlays/local/server", error), ("base/server".to_owned(), text.to_owned()));
        let error = r#"Error: accumulating components: accumulateDirectory: "couldn't make target for path '/w/x/base/settings': invalid Kustomization: json: unknown field \\\"replacement\\\"""#;
        let text = r#"invalid Kustomization: json: unknown field "replacement""#;
        assert_eq!(innermost(&files, "overlays/local/server", error), ("base/settings".to_owned(), text.to_owned()));
        let error = "Error: doc is missing path: /spec/none\n";
        let text = "doc is missing path: /spec/none";
        assert_eq!(
            innermost(&files, "overlays/local/server", error),
            ("overlays/local/server".to_owned(), text.to_owned())
        );
    }
}
