//! Where pull requests are opened.

use std::path::Path;

use crate::{BareForge, Error, GitHub, Opened, PullRequest, Result};

/// Where pull requests are opened.
#[derive(Clone, Debug)]
pub enum Forge {
    /// A bare repository on this machine.
    Bare(BareForge),
    /// GitHub.
    GitHub(GitHub),
}

/// The forge behind a remote's URL.
///
/// # Errors
/// [`Error::UnknownForge`] when there is none; [`Error::NoToken`] for GitHub without a token.
pub fn forge_of(url: &str) -> Result<Forge> {
    if let Some(github) = GitHub::of(url)? {
        return Ok(Forge::GitHub(github));
    }
    let path = Path::new(url.strip_prefix("file://").unwrap_or(url));
    if path.is_dir() {
        return Ok(Forge::Bare(BareForge::open(path)?));
    }
    Err(Error::UnknownForge(url.to_owned()))
}

impl Forge {
    /// Opens a pull request. Its branch must be on the forge already.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn open(&self, request: &PullRequest) -> Result<Opened> {
        match self {
            Self::Bare(forge) => forge.open_pull_request(request),
            Self::GitHub(forge) => forge.open_pull_request(request).await,
        }
    }

    /// The pull request that is open for a branch.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn open_for(&self, branch: &str) -> Result<Option<Opened>> {
        match self {
            Self::Bare(forge) => {
                Ok(forge.list()?.into_iter().find(|opened| opened.branch == branch && opened.is_open()))
            }
            Self::GitHub(forge) => forge.open_for(branch).await,
        }
    }

    /// Merges a pull request into main with a merge commit, whose id it gives.
    ///
    /// # Errors
    /// When it is not open, conflicts with main, or the forge refuses.
    pub async fn merge(&self, number: u64) -> Result<String> {
        match self {
            Self::Bare(forge) => forge.merge(number),
            Self::GitHub(forge) => forge.merge(number).await,
        }
    }
}
