//! Real repositories, made by the real git.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod commits;
mod environment;
mod kinds;
mod projects;
mod references;
mod remotes;
mod signatures;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use slipway_git::Repository;
use tempfile::TempDir;

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=A Person", "-c", "user.email=a@example.org"];
    let done = clean_git().arg("-C").arg(folder).args(identity).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// A git that the test's own environment does not lead elsewhere.
fn clean_git() -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    command
}

/// A repository with a commit, a bare one whose main is at it, and that commit.
pub(crate) fn repositories() -> (TempDir, Repository, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let (work, bare) = (folder.path().join("work"), folder.path().join("forge.git"));
    fs::create_dir(&work).unwrap();
    git(&work, &["init", "--quiet", "--initial-branch=main"]);
    fs::create_dir_all(work.join("deep/er")).unwrap();
    fs::write(work.join("a.txt"), "one\ntwo\nthree\n").unwrap();
    fs::write(work.join("deep/er/b.txt"), "b").unwrap();
    fs::write(work.join("run.sh"), "#!/bin/sh\n").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["update-index", "--chmod=+x", "run.sh"]);
    git(&work, &["commit", "--quiet", "-m", "first"]);
    git(folder.path(), &["clone", "--quiet", "--bare", "work", "forge.git"]);
    let opened = Repository::open(&work).unwrap();
    let head = opened.head().unwrap().unwrap();
    (folder, opened, bare, head)
}

pub(crate) fn change(path: &str, content: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    [(path.to_owned(), Some(content.as_bytes().to_vec()))].into()
}

/// Runs the body of a test in a process of its own, with these variables and nobody at a terminal.
pub(crate) fn alone(test: &str, environment: &[(&str, &str)], body: impl FnOnce()) {
    const INSIDE: &str = "SLIPWAY_TEST_ALONE";
    if std::env::var(INSIDE).as_deref() == Ok(test) {
        return body();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(INSIDE, test).envs(environment.iter().copied());
    let done = command.stdin(Stdio::null()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
}
