//! Repositories for tests, made by the real git.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

pub mod project;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A repository with a commit, and a bare one whose main is at it.
#[derive(Debug)]
pub struct Repositories {
    /// The folder that holds both; it goes with this value.
    pub folder: TempDir,
    /// The work tree.
    pub work: PathBuf,
    /// The bare repository.
    pub bare: PathBuf,
    /// The commit.
    pub head: String,
}

impl Repositories {
    /// With a text, a file in a folder of a folder, and a script.
    ///
    /// # Panics
    /// When git fails.
    #[must_use]
    pub fn new() -> Self {
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
        let head = git(&work, &["rev-parse", "HEAD"]);
        Self { folder, work, bare, head }
    }
}

impl Default for Repositories {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs git in a folder as `A Person`; its standard output without the space at its end. What the test's own environment says of
/// repositories does not count.
///
/// # Panics
/// When git fails.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        git.env_remove(name);
    }
    let identity = ["-c", "user.name=A Person", "-c", "user.email=a@example.org"];
    let done = git.arg("-C").arg(folder).args(identity).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
}
