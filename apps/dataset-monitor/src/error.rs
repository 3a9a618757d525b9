//! Why something could not be done. It is tried again, so what matters is what a person reads.

/// Result of what the monitor does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A build.
    #[error(transparent)]
    Pipeline(#[from] slipway_pipeline::Error),
    /// The numbers.
    #[error(transparent)]
    Evidence(#[from] slipway_evidence::Error),
    /// A pull request cannot be prepared or opened.
    #[error(transparent)]
    Proposal(#[from] slipway_proposal::Error),
    /// The forge refused or cannot be reached.
    #[error(transparent)]
    Forge(#[from] slipway_forge::Error),
    /// git failed.
    #[error(transparent)]
    Git(#[from] slipway_git::Error),
    /// The object store.
    #[error(transparent)]
    Store(#[from] slipway_dataset::Error),
    /// A file of the cache.
    #[error("{path}: {reason}; give the cache a folder that can be written")]
    Cache {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// Another monitor may write by now.
    #[error(transparent)]
    NotLeader(#[from] slipway_service::NotLeader),
}
