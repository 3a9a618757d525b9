//! Forges on real repositories, made by the real git.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod pull_requests;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use slipway_forge::{BareForge, PullRequest};
use slipway_git::Repository;
use tempfile::TempDir;

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=A Person", "-c", "user.email=a@example.org"];
    let done = Command::new("git").arg("-C").arg(folder).args(identity).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// A repository with a commit, and a bare one whose main is at it.
pub(crate) fn repositories() -> (TempDir, Repository, BareForge, String) {
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
    (folder, opened, BareForge::open(&bare).unwrap(), head)
}

pub(crate) fn change(path: &str, content: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    [(path.to_owned(), Some(content.as_bytes().to_vec()))].into()
}

/// Commits, pushes and opens a pull request on the bare repository.
pub(crate) fn propose(
    folder: &TempDir,
    repository: &Repository,
    forge: &BareForge,
    base: &str,
    file: (&str, &str),
    branch: &str,
) -> u64 {
    let commit = repository.commit(Some(base), &change(file.0, file.1), "change").unwrap();
    repository.push(&folder.path().join("forge.git").display().to_string(), &commit, branch).unwrap();
    let request = PullRequest {
        branch: branch.to_owned(),
        base: "main".to_owned(),
        title: "Change".to_owned(),
        body: "why".to_owned(),
    };
    forge.open_pull_request(&request).unwrap().number
}
