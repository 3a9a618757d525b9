//! What kustomize says when it cannot build a folder.

use crate::Files;
use crate::kustomization::file_of;

/// The innermost folder of this repository that kustomize's error names, and the reason. The error holds the whole way there, each step
/// with an absolute path and the next step quoted inside.
pub(crate) fn innermost(files: &Files, folder: &str, error: &str) -> (String, String) {
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
        None => (folder.to_owned(), without_root(&text, folder)),
    }
}

/// The folder of a kustomization that an absolute path leads to, wherever the repository is.
fn below_root(files: &Files, path: &str) -> Option<String> {
    let mut ends = path.match_indices('/').map(|(at, _)| &path[at + 1..]);
    ends.find(|end| file_of(files, end).is_some()).map(str::to_owned)
}

/// A text with paths from the top of the repository in place of absolute ones, where those lead to a folder.
fn without_root(text: &str, folder: &str) -> String {
    let Some(at) = text.find(&format!("/{folder}")) else { return text.to_owned() };
    let start = text[..at].rfind(['\'', '"', ' ', ':']).map_or(0, |before| before + 1);
    let root = &text[start..=at];
    if root.starts_with('/') { text.replace(root, "") } else { text.to_owned() }
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
        let error = "Error: accumulating resources from 'none': evalsymlink failure on '/w/x/base/server/none' : lstat /w/x/base/server/none\n";
        let text =
            "accumulating resources from 'none': evalsymlink failure on 'base/server/none' : lstat base/server/none";
        assert_eq!(innermost(&files, "base/server", error), ("base/server".to_owned(), text.to_owned()));
        let error = "Error: doc is missing path: /spec/none\n";
        let text = "doc is missing path: /spec/none";
        assert_eq!(
            innermost(&files, "overlays/local/server", error),
            ("overlays/local/server".to_owned(), text.to_owned())
        );
    }
}
