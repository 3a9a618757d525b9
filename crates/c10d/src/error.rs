//! What can go wrong between workers.

use std::time::Duration;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between workers. After any of these but [`Error::Argument`] and [`Error::Optimizer`] the group is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The workers did not find each other.
    #[error(
        "{world_size} workers did not meet at {host}:{port} within {} s: {reason}", timeout.as_secs_f64()
    )]
    Rendezvous {
        /// Host of the store's server.
        host: String,
        /// Its port.
        port: u16,
        /// How many workers were expected.
        world_size: usize,
        /// How long each waited.
        timeout: Duration,
        /// What c10d said.
        reason: String,
    },
    /// A collective operation failed: mostly because another worker ended.
    #[error("{operation} failed, so another worker has ended or cannot be reached: {reason}")]
    Collective {
        /// Which operation.
        operation: &'static str,
        /// What c10d said.
        reason: String,
    },
    /// The reducer refused.
    #[error("{operation} failed: {reason}")]
    Reducer {
        /// Which step of the protocol.
        operation: &'static str,
        /// What c10d said.
        reason: String,
    },
    /// The optimizer failed.
    #[error("{operation} failed: {reason}")]
    Optimizer {
        /// Which step.
        operation: &'static str,
        /// What libtorch said.
        reason: String,
    },
    /// An argument that c10d cannot take.
    #[error("{0}")]
    Argument(String),
}
