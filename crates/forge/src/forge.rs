//! Where pull requests are opened.

use std::path::PathBuf;

use reqwest::Url;
use slipway_causes::without_password;

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
/// [`Error::UnknownForge`], [`Error::NotBare`], [`Error::NoToken`], [`Error::AppKey`].
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

    /// The pull request that brought a commit of the default branch. `files` are paths with the ids of their blobs that the commit brought: a
    /// bare repository finds by them what was merged by other means. Returns `None` if the forge knows of none.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn pull_request_of(&self, commit: &str, files: &[(&str, &str)]) -> Result<Option<Opened>> {
        match self {
            Self::Bare(forge) => forge.pull_request_of(commit, files),
            Self::GitHub(forge) => forge.pull_request_of(commit).await,
        }
    }

    /// The branch that pull requests are merged into: in a bare repository the one that HEAD names.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn default_branch(&self) -> Result<String> {
        match self {
            Self::Bare(forge) => forge.default_branch(),
            Self::GitHub(forge) => forge.default_branch().await,
        }
    }

    /// The forge for a person to read, such as `GitHub octo/cat`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Bare(forge) => format!("the bare repository {}", forge.path().display()),
            Self::GitHub(forge) => format!("GitHub {}", forge.name()),
        }
    }
}
