//! Where pull requests are opened.

use std::path::PathBuf;

use reqwest::Url;
use slipway_git::without_password;

use crate::{BareForge, Error, GitHub, Opened, PullRequest, Result};

/// Where pull requests are opened.
#[derive(Clone, Debug)]
pub enum Forge {
    /// A bare repository on this machine.
    Bare(BareForge),
    /// GitHub.
    GitHub(GitHub),
}

/// The forge behind a remote's URL: GitHub, or a path or `file://` URL of a bare repository.
///
/// # Errors
/// [`Error::UnknownForge`] for any other URL; [`Error::NotBare`]; [`Error::NoToken`] for GitHub without a token.
pub fn forge_of(url: &str) -> Result<Forge> {
    if let Some(github) = GitHub::of(url)? {
        return Ok(Forge::GitHub(github));
    }
    let path = match url.starts_with("file://") {
        // with %20 and the like
        true => Url::parse(url).ok().and_then(|url| url.to_file_path().ok()),
        false => Some(PathBuf::from(url)),
    };
    match path {
        Some(path) if path.is_dir() => Ok(Forge::Bare(BareForge::open(&path)?)),
        _ => Err(Error::UnknownForge(without_password(url))),
    }
}

impl Forge {
    /// Opens a pull request. Its branch must have been pushed.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn open(&self, request: &PullRequest) -> Result<Opened> {
        match self {
            Self::Bare(forge) => forge.open_pull_request(request),
            Self::GitHub(forge) => forge.open_pull_request(request).await,
        }
    }

    /// The open pull request of a branch. Returns `None` if there is none.
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

    /// All pull requests by number, at most 1,000 on GitHub: the newest.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn list(&self) -> Result<Vec<Opened>> {
        match self {
            Self::Bare(forge) => forge.list(),
            Self::GitHub(forge) => forge.list().await,
        }
    }

    /// One pull request.
    ///
    /// # Errors
    /// [`Error::NoPullRequest`]; when the forge refuses or cannot be reached.
    pub async fn get(&self, number: u64) -> Result<Opened> {
        match self {
            Self::Bare(forge) => forge.get(number),
            Self::GitHub(forge) => forge.get(number).await,
        }
    }

    /// Merges a pull request into main with a merge commit; its id.
    ///
    /// # Errors
    /// When it is not open, conflicts with main, or the forge refuses.
    pub async fn merge(&self, number: u64) -> Result<String> {
        match self {
            Self::Bare(forge) => forge.merge(number),
            Self::GitHub(forge) => forge.merge(number).await,
        }
    }

    /// Its name in messages, such as `GitHub octo/cat`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Bare(forge) => format!("the bare repository {}", forge.path().display()),
            Self::GitHub(forge) => format!("GitHub {}", forge.name()),
        }
    }
}
