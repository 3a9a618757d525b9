//! Why something could not be done. It is tried again, so what matters is what a person reads.

/// Result of what the manager does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A report cannot be made.
    #[error(transparent)]
    Outcome(#[from] slipway_outcome::Error),
    /// A pull request cannot be prepared or opened.
    #[error(transparent)]
    Proposal(#[from] slipway_proposal::Error),
    /// The forge refused or cannot be reached.
    #[error(transparent)]
    Forge(#[from] slipway_forge::Error),
    /// git failed.
    #[error(transparent)]
    Git(#[from] slipway_git::Error),
    /// MLflow refused or failed.
    #[error(transparent)]
    Mlflow(#[from] slipway_mlflow::Error),
    /// The server does not say how its challengers are.
    #[error("{url}/challengers cannot be read: {reason}; SLIPWAY_SERVER_URL is the server's internal address")]
    Server {
        /// The server's address, without its login.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Another manager may write by now.
    #[error(transparent)]
    NotLeader(#[from] slipway_service::NotLeader),
    /// A worker's log cannot be read.
    #[error("the log of {pod} cannot be read: {reason}")]
    Log {
        /// The pod.
        pod: String,
        /// Why not.
        reason: String,
    },
}
