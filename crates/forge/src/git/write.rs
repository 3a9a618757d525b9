//! Making commits from trees: the work tree, the index and the branches stay as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Git, failed, line, said};
use crate::{Error, Result};

/// Who commits when git has not been told.
const NOBODY: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "Slipway"),
    ("GIT_AUTHOR_EMAIL", "slipway@localhost"),
    ("GIT_COMMITTER_NAME", "Slipway"),
    ("GIT_COMMITTER_EMAIL", "slipway@localhost"),
];
/// The mode that takes an entry out, with no id.
const REMOVED: &str = "0 0000000000000000000000000000000000000000";

impl Git {
    /// Makes a commit on top of `base` in which the files of `changes` are replaced, or removed where there is none; it may be the first
    /// of all. A script stays executable, and a folder without files goes. No ref moves. When nothing changes it is `base` itself. The
    /// committer is who git is told it is, else "Slipway <slipway@localhost>".
    ///
    /// # Errors
    /// [`Error::Path`] for a path that cannot be in a commit; when there is no such base, or git refuses.
    pub fn commit(
        &self,
        base: Option<&str>,
        changes: &BTreeMap<String, Option<Vec<u8>>>,
        message: &str,
    ) -> Result<String> {
        changes.keys().try_for_each(|path| check_path(path))?;
        let folder = tempfile::tempdir().map_err(|source| Error::Io { what: "making a temporary folder", source })?;
        let index = folder.path().join("index").display().to_string();
        // An index of its own: the user's stays as it is. A split one would leave a part in the repository.
        let aside = [("GIT_INDEX_FILE", index.as_str())];
        if let Some(base) = base {
            self.run(&["-c", "core.splitIndex=false", "read-tree", "--end-of-options", base], &aside, None)?;
        }
        let executable = self.executable(&aside, changes)?;
        let mut ids = self.write_blobs(folder.path(), changes.values().flatten().map(Vec::as_slice))?.into_iter();
        let mut lines: Vec<u8> = Vec::new();
        for (path, content) in changes {
            let entry = match content {
                Some(_) => {
                    let mode = if executable.contains(path) { "100755" } else { "100644" };
                    format!("{mode} {}", ids.next().unwrap_or_default())
                }
                None => REMOVED.to_owned(),
            };
            lines.extend(format!("{entry}\t{path}\0").into_bytes());
        }
        let updated = self.output(&["update-index", "-z", "--index-info"], &aside, Some(&lines))?;
        let stderr = String::from_utf8_lossy(&updated.stderr).into_owned();
        // What git would not check out anywhere, such as `git~1`, it leaves out without failing.
        if let Some(path) = stderr.lines().find_map(|line| line.strip_prefix("Ignoring path ")) {
            return Err(Error::Path(path.to_owned()));
        }
        if !updated.status.success() {
            return Err(failed("update-index", said(&updated)));
        }
        let tree = line(&self.run(&["write-tree"], &aside, None)?);
        if let Some(base) = base
            && self.tree_of(base)? == tree
        {
            return self.resolve(base)?.ok_or_else(|| failed("rev-parse", format!("{base} is not a commit")));
        }
        self.commit_tree(&tree, base.as_slice(), message)
    }

    /// Which of the files to replace may be run.
    fn executable(&self, aside: &[(&str, &str)], changes: &BTreeMap<String, Option<Vec<u8>>>) -> Result<Vec<String>> {
        let listing = self.run(&["ls-files", "-s", "-z"], aside, None)?;
        let text = String::from_utf8_lossy(&listing);
        // <mode> <id> <stage>\t<path>
        let scripts = text.split('\0').filter(|entry| entry.starts_with("100755 "));
        let paths = scripts.filter_map(|entry| Some(entry.split_once('\t')?.1));
        Ok(paths.filter(|path| changes.contains_key(*path)).map(str::to_owned).collect())
    }

    /// Many blobs by one process, through files: `hash-object` has no other way to take more than one.
    fn write_blobs<'a>(&self, folder: &Path, contents: impl Iterator<Item = &'a [u8]>) -> Result<Vec<String>> {
        let mut names = String::new();
        for (number, content) in contents.enumerate() {
            let path = folder.join(number.to_string());
            fs::write(&path, content).map_err(|source| Error::Io { what: "writing a temporary file", source })?;
            names.push_str(&format!("{}\n", path.display()));
        }
        if names.is_empty() {
            return Ok(Vec::new());
        }
        // What is committed is what was given: no line ends change.
        let ids = self.run(&["hash-object", "-w", "--no-filters", "--stdin-paths"], &[], Some(names.as_bytes()))?;
        Ok(String::from_utf8_lossy(&ids).lines().map(str::to_owned).collect())
    }

    /// One blob; its id.
    pub(crate) fn write_blob(&self, content: &[u8]) -> Result<String> {
        Ok(line(&self.run(&["hash-object", "-w", "--stdin"], &[], Some(content))?))
    }

    /// A commit of a tree; its id.
    pub(crate) fn commit_tree(&self, tree: &str, parents: &[&str], message: &str) -> Result<String> {
        // Without it git makes an identity up from the machine's name.
        let mut arguments = vec!["-c", "user.useConfigOnly=true", "commit-tree", tree];
        for parent in parents {
            arguments.extend(["-p", parent]);
        }
        let done = self.output(&arguments, &[], Some(message.as_bytes()))?;
        if done.status.success() {
            return Ok(line(&done.stdout));
        }
        let stderr = said(&done);
        // "no email was given and auto-detection is disabled", or the same of the name
        if !stderr.contains("auto-detection is disabled") {
            return Err(failed("commit-tree", stderr));
        }
        Ok(line(&self.run(&arguments[2..], &NOBODY, Some(message.as_bytes()))?))
    }
}

/// Refuses what could leave the tree, or what no line of git's input can hold.
fn check_path(path: &str) -> Result<()> {
    let fine = !path.is_empty()
        && !path.contains('\0')
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"));
    if fine { Ok(()) } else { Err(Error::Path(path.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository that no configuration but its own applies to.
    fn alone(folder: &Path) -> Git {
        let made = std::process::Command::new("git").arg("-C").arg(folder).args(["init", "--quiet"]).status();
        assert!(made.unwrap().success());
        let home = folder.display().to_string();
        let git = Git::open(folder).unwrap().with_env("HOME", &home).with_env("XDG_CONFIG_HOME", &home);
        git.with_env("GIT_CONFIG_GLOBAL", "/dev/null").with_env("GIT_CONFIG_NOSYSTEM", "1")
    }

    fn who(git: &Git) -> String {
        let changes = [("a".to_owned(), Some(b"a".to_vec()))].into();
        let commit = git.commit(None, &changes, "first").unwrap();
        line(&git.run(&["log", "-1", "--format=%an <%ae>, %cn <%ce>", &commit], &[], None).unwrap())
    }

    #[test]
    fn who_is_configured_commits_and_else_slipway() {
        let folder = tempfile::tempdir().unwrap();
        let git = alone(folder.path());
        assert_eq!(who(&git), "Slipway <slipway@localhost>, Slipway <slipway@localhost>");
        git.run(&["config", "user.name", "A Person"], &[], None).unwrap();
        git.run(&["config", "user.email", "a@example.org"], &[], None).unwrap();
        assert_eq!(who(&git), "A Person <a@example.org>, A Person <a@example.org>");
    }

    #[test]
    fn a_failure_names_the_command_and_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let git = alone(folder.path());
        let missing = git.commit(Some("nowhere"), &BTreeMap::new(), "x").unwrap_err();
        let Error::Git { command, advice, .. } = &missing else { panic!("{missing}") };
        assert_eq!((command.as_str(), advice.contains("fetch it first")), ("read-tree", true), "{missing}");
    }
}
