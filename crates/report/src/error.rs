//! Why a change cannot be examined.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a change cannot be examined. What is wrong with the change itself is in its report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A revision does not exist here.
    #[error("there is no commit {0} here: fetch it first")]
    NoRevision(String),
    /// git failed.
    #[error(transparent)]
    Git(#[from] slipway_git::Error),
    /// The project cannot be read.
    #[error(transparent)]
    Project(#[from] slipway_project::Error),
    /// kustomize cannot be run.
    #[error(transparent)]
    Deployment(#[from] slipway_deployment::Error),
}
