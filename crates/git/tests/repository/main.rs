//! Real repositories, made by the real git.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod commits;
mod environment;
mod history;
mod kinds;
mod projects;
mod rebases;
mod references;
mod remotes;
mod signatures;
mod trees;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use slipway_git::Repository;
use slipway_repositories::Repositories;
pub(crate) use slipway_repositories::git;
use tempfile::TempDir;

/// A repository with a commit, a bare one whose main is at it, and that commit.
pub(crate) fn repositories() -> (TempDir, Repository, PathBuf, String) {
    let Repositories { folder, work, bare, head } = Repositories::new();
    (folder, Repository::open(&work).unwrap(), bare, head)
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
