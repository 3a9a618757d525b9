//! The repository that pull requests go to.

use std::path::Path;

use slipway_forge::{Forge, Opened, PullRequest, forge_of};
use slipway_git::Repository;

use crate::Result;

/// A remote, with the forge that its pull requests are opened on.
#[derive(Debug)]
pub struct Remote {
    /// The remote's name in git, or its URL.
    pub name: String,
    /// Where its pull requests are opened.
    pub forge: Forge,
}

impl Remote {
    /// A remote of a repository by its name, its URL or its path.
    ///
    /// # Errors
    /// When its forge is not supported.
    pub fn named(git: &Repository, name: &str) -> Result<Self> {
        let url = git.remote_url(name)?.unwrap_or_else(|| name.to_owned());
        Ok(Self { forge: forge_of(&url)?, name: name.to_owned() })
    }

    /// A bare repository on this machine.
    ///
    /// # Errors
    /// When it is not a bare repository.
    pub fn at(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        Ok(Self { forge: forge_of(&name)?, name })
    }

    /// Pushes a commit and opens its pull request. If one is already open for the branch, returns that one.
    pub(crate) async fn open(&self, git: &Repository, head: &str, request: PullRequest) -> Result<Opened> {
        if let Some(opened) = self.forge.open_for(&request.branch).await? {
            return Ok(opened);
        }
        git.push(&self.name, head, &request.branch)?;
        Ok(self.forge.open(&request).await?)
    }
}
