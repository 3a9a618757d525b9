//! Why a report cannot be made.

use std::collections::BTreeSet;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a report cannot be made. What is not known about a merged pull request because MLflow is away is in its report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The change cannot be examined.
    #[error(transparent)]
    Report(#[from] slipway_report::Error),
    /// The project cannot be read.
    #[error(transparent)]
    Project(#[from] slipway_project::Error),
    /// The commits of the merge cannot be found.
    #[error(transparent)]
    Proposal(#[from] slipway_proposal::Error),
    /// git failed.
    #[error(transparent)]
    Git(#[from] slipway_git::Error),
    /// The forge refused or cannot be reached.
    #[error(transparent)]
    Forge(#[from] slipway_forge::Error),
    /// MLflow refused or failed.
    #[error(transparent)]
    Mlflow(#[from] slipway_mlflow::Error),
    /// A pull request has nothing to do with an environment.
    #[error("pull request #{number} did nothing in {environment}; it did in: {}", list(known))]
    OtherEnvironment {
        /// The pull request.
        number: u64,
        /// The environment.
        environment: String,
        /// Those in which it did something.
        known: BTreeSet<String>,
    },
    /// A tag of a run does not hold what Slipway writes.
    #[error("the tag {tag} of run {run} cannot be read: {reason}: {value}")]
    Tag {
        /// The tag.
        tag: &'static str,
        /// The run's id.
        run: String,
        /// What is wrong with it.
        reason: String,
        /// What it holds.
        value: String,
    },
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() { "none".to_owned() } else { names.iter().cloned().collect::<Vec<_>>().join(", ") }
}
