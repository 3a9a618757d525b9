//! Every folder builds, and every overlay is deployed by someone.

use crate::environment::Environment;
use crate::finding::Finding;
use crate::kustomization::{file_of, kustomizations, reach};
use crate::object::Origin;
use crate::{Builds, Files};

/// Folders that kustomize refused. The finding is at the folder that is to blame, so that one mistake in a base is one finding.
pub(super) fn findings(files: &Files, builds: &Builds) -> Vec<Finding> {
    let failed = builds.iter().filter_map(|(folder, built)| Some((folder, built.as_ref().err()?)));
    failed
        .map(|(folder, said)| {
            let (folder, said) = blamed(files, folder, said);
            Finding {
                file: file_of(files, &folder).unwrap_or_else(|| folder.clone()),
                line: 1,
                column: 1,
                code: "kustomize-build",
                message: format!("kustomize cannot build {folder}: {said}"),
                help: "see it with `kustomize build` on this folder, or on one that has it as a component".to_owned(),
            }
        })
        .collect()
}

/// The innermost folder of this repository that kustomize names, and what it says of it; it tells the whole way there, each step
/// with an absolute path and the next one quoted inside.
fn blamed(files: &Files, folder: &str, said: &str) -> (String, String) {
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
    let text = line.trim_start_matches("Error: ").replace('\\', "");
    let paths = text.match_indices("path '/").filter_map(|(at, _)| text[at + "path '".len()..].split_once('\''));
    let inner = paths.filter_map(|(path, rest)| Some((path, below_root(files, path)?, rest))).last();
    match inner {
        Some((path, folder, rest)) => {
            let root = path.strip_suffix(&folder).unwrap_or_default();
            let rest = rest.trim_start_matches([':', ' ']).trim_end();
            // the quote that the step outside closes
            let odd = rest.matches('"').count() % 2 == 1;
            let rest = if odd { rest.strip_suffix('"').unwrap_or(rest) } else { rest };
            (folder, rest.replace(root, ""))
        }
        None => (folder.to_owned(), text),
    }
}

/// The kustomization of the repository that an absolute path leads to, wherever the repository lies.
fn below_root(files: &Files, path: &str) -> Option<String> {
    let mut ends = path.match_indices('/').map(|(at, _)| &path[at + 1..]);
    ends.find(|end| file_of(files, end).is_some()).map(str::to_owned)
}

/// Overlays of an environment that no Application deploys, neither by itself nor as a part of another.
pub(super) fn not_synced(files: &Files, environment: &Environment) -> Vec<Finding> {
    let mut deployed: Vec<String> = Vec::new();
    for one in &environment.applications {
        for path in one.application.sources.iter().filter_map(|source| source.path.as_deref()) {
            deployed.extend(reach(files, path));
        }
        deployed.extend(one.objects.iter().filter_map(|object| match &object.origin {
            Origin::Built(folder) => Some(folder.clone()),
            Origin::File(_) => None,
        }));
    }
    let prefix = format!("overlays/{}/", environment.name);
    kustomizations(files)
        .into_iter()
        .filter(|one| one.folder.starts_with(&prefix) && !one.component && !deployed.contains(&one.folder))
        .map(|one| Finding {
            file: one.file,
            line: 1,
            column: 1,
            code: "not-synced",
            message: format!("no Application of {} deploys {}", environment.name, one.folder),
            help: format!("add an Application to clusters/{}, or remove the folder", environment.name),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_folder_is_to_blame() {
        let files: Files = ["base/server", "base/settings", "overlays/local/server"]
            .iter()
            .map(|folder| (format!("{folder}/kustomization.yaml"), Vec::new()))
            .collect();
        let said = "Error: accumulating resources: accumulation err='accumulating resources from '../../../base/server': \
                    '/w/x/base/server' must resolve to a file': recursed accumulation of path '/w/x/base/server': accumulating \
                    resources from 'none.yaml': lstat /w/x/base/server/none.yaml: no such file or directory\n";
        let text = "accumulating resources from 'none.yaml': lstat base/server/none.yaml: no such file or directory";
        assert_eq!(blamed(&files, "overlays/local/server", said), ("base/server".to_owned(), text.to_owned()));
        let said = r#"Error: accumulating components: accumulateDirectory: "couldn't make target for path '/w/x/base/settings': invalid Kustomization: json: unknown field \\\"replacement\\\"""#;
        let text = r#"invalid Kustomization: json: unknown field "replacement""#;
        assert_eq!(blamed(&files, "overlays/local/server", said), ("base/settings".to_owned(), text.to_owned()));
        let said = "Error: doc is missing path: /spec/none\n";
        let text = "doc is missing path: /spec/none";
        assert_eq!(
            blamed(&files, "overlays/local/server", said),
            ("overlays/local/server".to_owned(), text.to_owned())
        );
    }
}
