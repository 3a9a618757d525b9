//! Commits by GitHub's API, for programs without git.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use octocrab::Octocrab;
use octocrab::models::git::GitTree;
use octocrab::params::repos::Reference;
use serde_json::{Value, json};

use super::GitHub;
use super::patience::Repeat;
use crate::{Error, Result};

/// A commit that GitHub is to make.
#[derive(Clone, Copy, Debug)]
pub struct NewCommit<'a> {
    /// The commits that it follows, which GitHub has.
    pub parents: &'a [String],
    /// What differs from the first of them, by path.
    pub changes: &'a BTreeMap<String, NewFile>,
    /// Its message.
    pub message: &'a str,
    /// The id of the tree that it must have; `None` if that is not known.
    pub tree: Option<&'a str>,
}

/// What becomes of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewFile {
    /// Nothing is there any more.
    Removed,
    /// This content.
    Content {
        /// Its mode in git: a file, a file that can be executed, or a link.
        mode: u32,
        /// Its bytes; of a link its target.
        bytes: Vec<u8>,
    },
    /// An object that GitHub has, such as a file of another parent.
    Known {
        /// Its mode in git; that of a submodule too.
        mode: u32,
        /// Its id.
        id: String,
    },
}

/// The modes of a file and of a submodule.
const FILE: u32 = 0o100_644;
const SUBMODULE: u32 = 0o160_000;

impl GitHub {
    /// Makes a commit on top of `base` in which the files of `changes` are replaced, or removed where there is no content, and puts
    /// `branch` there. The branch is made if it does not exist; otherwise it only moves forward, so that nobody's commits are lost. Returns the
    /// commit, which is `base` itself if nothing changes; the branch then stays as it is. GitHub signs the commits of apps.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn commit(
        &self,
        base: &str,
        changes: &BTreeMap<String, Option<Vec<u8>>>,
        message: &str,
        branch: &str,
    ) -> Result<String> {
        let client = self.client().await?;
        let before = self.tree_of(client, base).await?;
        let file = |content: &Option<Vec<u8>>| match content {
            Some(bytes) => NewFile::Content { mode: FILE, bytes: bytes.clone() },
            None => NewFile::Removed,
        };
        let changes = changes.iter().map(|(path, content)| (path.clone(), file(content))).collect();
        let tree = self.tree(client, &before, &changes).await?;
        if tree == before {
            return Ok(base.to_owned());
        }
        let commit = self.make_commit(client, &tree, &[base.to_owned()], message).await?;
        self.advance(client, branch, &commit).await?;
        Ok(commit)
    }

    /// Makes a commit and puts `branch` there. The branch is made if it does not exist; otherwise it only moves forward, so that nobody's
    /// commits are lost. Returns the commit, whose id GitHub decides: who made it, and when, is part of it. GitHub signs the commits of
    /// apps.
    ///
    /// # Errors
    /// [`Error::BranchMoved`] if the branch has other commits; [`Error::Unreadable`] if the tree is another one than it must be; when
    /// GitHub refuses, such as to remove a file that does not exist, or cannot be reached.
    pub async fn push(&self, commit: &NewCommit<'_>, branch: &str) -> Result<String> {
        let client = self.client().await?;
        let before = match commit.parents.first() {
            Some(parent) => self.tree_of(client, parent).await?,
            None => return Err(self.unreadable("a commit without a parent cannot be made there")),
        };
        let tree = if commit.changes.is_empty() { before } else { self.tree(client, &before, commit.changes).await? };
        if let Some(expected) = commit.tree.filter(|expected| **expected != tree) {
            return Err(self.unreadable(&format!("it makes the tree {tree} of changes that make {expected}")));
        }
        let made = self.make_commit(client, &tree, commit.parents, commit.message).await?;
        self.advance(client, branch, &made).await?;
        Ok(made)
    }

    async fn tree_of(&self, client: &Octocrab, commit: &str) -> Result<String> {
        let git = || client.git(&self.owner, &self.repository);
        Ok(self.ask(Repeat::Harmless, || async { git().get_commit(commit).await }).await?.tree.sha)
    }

    async fn make_commit(&self, client: &Octocrab, tree: &str, parents: &[String], message: &str) -> Result<String> {
        let git = || client.git(&self.owner, &self.repository);
        // a second commit, made when the answer to the first is lost, stays without a name
        let commit = || async { git().create_commit(message, tree).parents(parents.to_vec()).send().await };
        Ok(self.ask(Repeat::Harmless, commit).await?.sha)
    }

    /// One path of a tree. Text travels within the tree, so that a thousand files are one request: GitHub limits the requests that
    /// create something.
    async fn entry(&self, client: &Octocrab, path: &str, file: &NewFile) -> Result<Value> {
        let (mode, key, value) = match file {
            NewFile::Removed => (FILE, "sha", Value::Null),
            NewFile::Known { mode, id } => (*mode, "sha", id.as_str().into()),
            NewFile::Content { mode, bytes } => match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => (*mode, "content", text.into()),
                _ => (*mode, "sha", self.blob(client, bytes).await?.into()),
            },
        };
        let kind = if mode == SUBMODULE { "commit" } else { "blob" };
        let mut entry = json!({ "path": path, "mode": format!("{mode:06o}"), "type": kind });
        entry[key] = value;
        Ok(entry)
    }

    /// The id of a content that is not text.
    async fn blob(&self, client: &Octocrab, bytes: &[u8]) -> Result<String> {
        let encoded = BASE64_STANDARD.encode(bytes);
        let blob = || async {
            let git = client.git(&self.owner, &self.repository);
            git.create_blob(&encoded).encoding("base64").send().await
        };
        Ok(self.ask(Repeat::Harmless, blob).await?.sha)
    }

    /// The id of a tree. octocrab's own type for its entries cannot say `"sha": null`, which removes a file.
    async fn tree(&self, client: &Octocrab, base: &str, changes: &BTreeMap<String, NewFile>) -> Result<String> {
        let mut entries = Vec::new();
        for (path, file) in changes {
            entries.push(self.entry(client, path, file).await?);
        }
        let body = json!({ "base_tree": base, "tree": entries });
        let route = format!("/repos/{}/{}/git/trees", self.owner, self.repository);
        let tree = || async { client.post::<_, GitTree>(&route, Some(&body)).await };
        Ok(self.ask(Repeat::Harmless, tree).await?.sha)
    }

    /// Makes a branch at a commit, or moves it forward to it. GitHub compares and swaps.
    async fn advance(&self, client: &Octocrab, branch: &str, commit: &str) -> Result<()> {
        let git = || client.git(&self.owner, &self.repository);
        let reference = Reference::Branch(branch.to_owned());
        let made = self.ask(Repeat::Harmless, || async { git().create_ref(&reference, commit).await }).await;
        match made {
            Err(Error::Refused { status, message, .. }) if is_invalid(status) && message.contains("already exists") => {
            }
            made => return made.map(|_| ()),
        }
        let moved = || async { git().update_ref(&reference, commit).force(false).send().await };
        match self.ask(Repeat::Harmless, moved).await {
            Err(Error::Refused { status, message, .. }) if is_invalid(status) && message.contains("not a fast") => {
                Err(Error::BranchMoved(branch.to_owned()))
            }
            moved => moved.map(|_| ()),
        }
    }
}

fn is_invalid(status: u16) -> bool {
    status == StatusCode::UNPROCESSABLE_ENTITY
}
