//! Forges on real repositories, made by the real git.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod merges;
mod pull_requests;
mod reports;

use std::collections::BTreeMap;

use slipway_forge::{BareForge, PullRequest};
use slipway_git::Repository;
use slipway_repositories::Repositories;
pub(crate) use slipway_repositories::git;
use tempfile::TempDir;

/// A repository with a commit, and a bare one whose main is at it.
pub(crate) fn repositories() -> (TempDir, Repository, BareForge, String) {
    let Repositories { folder, work, bare, head } = Repositories::new();
    (folder, Repository::open(&work).unwrap(), BareForge::open(&bare).unwrap(), head)
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
        ..PullRequest::default()
    };
    forge.open_pull_request(&request).unwrap().number
}
