//! Whose review GitHub asks for: the file CODEOWNERS.
//!
//! Source: <https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners>

use std::collections::BTreeSet;

/// Where GitHub looks for the file, from the top of the repository; the first one counts.
pub const PATHS: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

/// The rules of a file CODEOWNERS, in its order.
#[derive(Clone, Debug, Default)]
pub struct CodeOwners {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    /// The pattern from the top, by folder.
    segments: Vec<String>,
    /// Whether what lies below a matching folder is meant, too.
    below: bool,
    /// Users, teams and addresses, as they are written without `@`. Empty: nobody owns it.
    owners: Vec<String>,
}

impl CodeOwners {
    /// Reads the file. A line that GitHub would not understand is left out, as GitHub does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split('#').next());
        Self { rules: lines.filter_map(Rule::parse).collect() }
    }

    /// The owners of files by their paths from the top: of each file those of the last rule that fits.
    #[must_use]
    pub fn of<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> BTreeSet<&str> {
        let mut owners = BTreeSet::new();
        for path in paths {
            let segments: Vec<&str> = path.split('/').collect();
            let rule = self.rules.iter().rev().find(|rule| rule.fits(&segments));
            owners.extend(rule.into_iter().flat_map(|rule| rule.owners.iter().map(String::as_str)));
        }
        owners
    }
}

impl Rule {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let pattern = words.next()?;
        // forms of .gitignore that GitHub does not support here
        if pattern.starts_with('!') || pattern.contains(['[', ']', '\\']) {
            return None;
        }
        let owners: Vec<String> = words.map(|owner| owner.trim_start_matches('@').to_owned()).collect();
        let is_folder = pattern.ends_with('/');
        let inner = pattern.trim_matches('/');
        let anchored = inner.contains('/') || pattern.starts_with('/');
        let mut segments: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if !anchored {
            segments.insert(0, "**".to_owned());
        }
        // `docs/*` means files directly in docs; `docs` and `docs/` mean everything below
        let below = is_folder || !segments.last().is_some_and(|last| last.contains('*') && anchored);
        Some(Self { segments, below, owners })
    }

    fn fits(&self, path: &[&str]) -> bool {
        let segments: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        fits(&segments, path) || self.below && (1..path.len()).any(|length| fits(&segments, &path[..length]))
    }
}

/// Whether a pattern fits a path, folder by folder; `**` stands for any number of folders.
fn fits(pattern: &[&str], path: &[&str]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ["**", rest @ ..] => (0..=path.len()).any(|skipped| fits(rest, &path[skipped..])),
        [first, rest @ ..] => path.split_first().is_some_and(|(name, below)| {
            let (first, name): (Vec<char>, Vec<char>) = (first.chars().collect(), name.chars().collect());
            fits_name(&first, &name) && fits(rest, below)
        }),
    }
}

/// Whether a pattern with `*` and `?` fits a name.
fn fits_name(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|skipped| fits_name(rest, &name[skipped..])),
        [first, rest @ ..] => {
            name.split_first().is_some_and(|(c, below)| (*first == '?' || first == c) && fits_name(rest, below))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::{history, jobs_folder, serving};

    const EXPERIMENTS: &str = "slipway-dev/experiments";
    const PLATFORM: &str = "slipway-dev/platform";

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// The rules of this repository itself.
    fn own() -> CodeOwners {
        CodeOwners::parse(&std::fs::read_to_string(repository().join(PATHS[0])).unwrap())
    }

    /// The paths of the files below a folder of this repository, from its top.
    fn files(folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(repository().join(folder)).unwrap().map(|entry| entry.unwrap());
        let below = entries.map(|entry| {
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() { files(&path) } else { vec![path] }
        });
        below.flatten().collect()
    }

    #[test]
    fn the_last_rule_that_fits_decides() {
        let text = "* @all # everything\n*.js @js\n/build/logs/ @doctor\ndocs/* docs@example.com\napps/ @octo/apps\n/apps/github\n**/logs @logs\n!a @no\n";
        let owners = CodeOwners::parse(text);
        for (path, expected) in [
            ("README.md", vec!["all"]),
            ("a/b.js", vec!["js"]),
            ("build/logs/x/y", vec!["logs"]),
            ("docs/start.md", vec!["docs@example.com"]),
            ("docs/build/trouble.md", vec!["all"]),
            ("x/apps/y", vec!["octo/apps"]),
            ("apps/github/x", vec![]),
            ("deeply/nested/logs/x", vec!["logs"]),
        ] {
            assert_eq!(owners.of([path]).into_iter().collect::<Vec<_>>(), expected, "{path}");
        }
        assert_eq!(owners.of(["README.md", "a.js"]).len(), 2);
    }

    #[test]
    fn what_pull_requests_of_experiments_change_belongs_to_their_team() {
        let own = own();
        let mut changed = vec!["experiments/mnist-cnn.yaml".to_owned(), "datasets/mnist.yaml".to_owned()];
        let environments = std::fs::read_dir(repository().join("overlays")).unwrap();
        for environment in environments.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
            let job = "mnist-cnn-0123abcd";
            // proposed and cancelled; archived; promoted
            let rendered = format!("{}/{job}.yaml", jobs_folder(&environment));
            changed.extend([rendered, history::path(&environment, job), serving::path(&environment)]);
        }
        assert!(changed.len() > 2, "no environments");
        for path in &changed {
            assert_eq!(own.of([path.as_str()]), [EXPERIMENTS].into(), "{path}");
        }
    }

    #[test]
    fn everything_else_belongs_to_the_platform() {
        let own = own();
        let folders = [".github", "apps", "argocd", "base", "clusters", "crates", "tools", "trainers"];
        let beside = ["Makefile", "experiments/schema.json", "overlays/local/server/kustomization.yaml"];
        let all = folders.into_iter().flat_map(files).chain(beside.map(str::to_owned));
        for path in all {
            assert_eq!(own.of([path.as_str()]), [PLATFORM].into(), "{path}");
        }
    }
}
