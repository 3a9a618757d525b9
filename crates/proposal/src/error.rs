//! Why a pull request cannot be prepared or opened.

use slipway_source::Finding;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a pull request cannot be prepared or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Files have mistakes.
    #[error("{} found", slipway_project::count(.0.len(), "problem"))]
    Invalid(Vec<Finding>),
    /// A path that was proposed as an experiment.
    #[error("{0} is not an experiment file: name files of experiments/, such as experiments/mnist-cnn.yaml")]
    NotAnExperiment(String),
    /// An environment that does not exist.
    #[error("unknown environment `{name}`; known: {}", known.join(", "))]
    UnknownEnvironment {
        /// Its name.
        name: String,
        /// The environments that exist.
        known: Vec<String>,
    },
    /// A version that does not exist.
    #[error("{model} has no version {version}; it has: {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })]
    UnknownVersion {
        /// The registered model.
        model: String,
        /// The version that was named.
        version: u64,
        /// The versions that exist.
        known: Vec<String>,
    },
    /// A version that was not registered by Slipway.
    #[error(
        "version {version} of {model} has no digest in its tag {}, so its content cannot be pinned: register it by a TrainJob of Slipway",
        slipway_names::tag::DIGEST
    )]
    NoDigest {
        /// The registered model.
        model: String,
        /// The version.
        version: String,
    },
    /// No version to choose.
    #[error(
        "{0} has no version with an accuracy to choose by: did its trials pass their gate (`slipway status`)? Name one with --version"
    )]
    NoBestVersion(String),
    /// The project.
    #[error(transparent)]
    Project(slipway_project::Error),
    /// The repository.
    #[error(transparent)]
    Git(#[from] slipway_git::Error),
    /// Where pull requests are opened.
    #[error(transparent)]
    Forge(#[from] slipway_forge::Error),
}

impl From<slipway_project::Error> for Error {
    fn from(error: slipway_project::Error) -> Self {
        match error {
            slipway_project::Error::Invalid(findings) => Self::Invalid(findings),
            slipway_project::Error::Git(error) => Self::Git(error),
            other => Self::Project(other),
        }
    }
}
