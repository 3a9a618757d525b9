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

impl GitHub {
    /// Makes a commit on top of `base` in which the files of `changes` are replaced, or removed where there is no content, and puts
    /// `branch` there. The branch is made if it does not exist; otherwise it only moves forward, so that nobody's commits are lost. Returns the
    /// commit, which is `base` itself if nothing changes; the branch then stays as it is. GitHub signs the commits of apps.
    ///
    /// # Errors
    /// [`Error::BranchMoved`] if the branch has other commits; when GitHub refuses, such as to remove a file that does not exist, or
    /// cannot be reached.
    pub async fn commit(
        &self,
        base: &str,
        changes: &BTreeMap<String, Option<Vec<u8>>>,
        message: &str,
        branch: &str,
    ) -> Result<String> {
        let client = self.client().await?;
        let git = || client.git(&self.owner, &self.repository);
        let before = self.ask(Repeat::Harmless, || async { git().get_commit(base).await }).await?.tree.sha;
        let mut entries = Vec::new();
        for (path, content) in changes {
            entries.push(self.entry(client, path, content.as_deref()).await?);
        }
        let tree = self.tree(client, &before, &entries).await?;
        if tree == before {
            return Ok(base.to_owned());
        }
        // a second commit, made when the answer to the first is lost, stays without a name
        let commit = || async { git().create_commit(message, &tree).parents(vec![base.to_owned()]).send().await };
        let commit = self.ask(Repeat::Harmless, commit).await?.sha;
        self.advance(client, branch, &commit).await?;
        Ok(commit)
    }

    /// One file of a tree. Text travels within the tree, so that a thousand files are one request: GitHub limits the requests that
    /// create something.
    async fn entry(&self, client: &Octocrab, path: &str, content: Option<&[u8]>) -> Result<Value> {
        let mut entry = json!({ "path": path, "mode": "100644", "type": "blob" });
        let (key, value) = match content.map(std::str::from_utf8) {
            None => ("sha", Value::Null),
            Some(Ok(text)) => ("content", text.into()),
            Some(Err(_)) => {
                let encoded = BASE64_STANDARD.encode(content.unwrap_or_default());
                let blob = || async {
                    let git = client.git(&self.owner, &self.repository);
                    git.create_blob(&encoded).encoding("base64").send().await
                };
                ("sha", self.ask(Repeat::Harmless, blob).await?.sha.into())
            }
        };
        entry[key] = value;
        Ok(entry)
    }

    /// The id of a tree. octocrab's own type for its entries cannot say `"sha": null`, which removes a file.
    async fn tree(&self, client: &Octocrab, base: &str, entries: &[Value]) -> Result<String> {
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
