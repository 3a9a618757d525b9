//! Errors between workers.

use std::time::Duration;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error between workers. After any error except [`Error::Argument`], [`Error::Engine`] and [`Error::Training`], the group cannot be used any longer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The workers did not find each other.
    #[error(
        "{world_size} workers did not meet at {host}:{port} within {} s: {reason}", timeout.as_secs_f64()
    )]
    Rendezvous {
        /// Host of the store's server.
        host: String,
        /// Port of the store's server.
        port: u16,
        /// How many workers were expected.
        world_size: usize,
        /// How long each waited.
        timeout: Duration,
        /// c10d's message.
        reason: String,
    },
    /// A collective operation failed, usually because another worker has ended.
    #[error("{operation} failed, so another worker has ended or cannot be reached: {reason}")]
    Collective {
        /// The operation.
        operation: &'static str,
        /// c10d's message.
        reason: String,
    },
    /// A step of training failed on this worker.
    #[error("{operation} failed: {reason}")]
    Training {
        /// The part of the step.
        operation: &'static str,
        /// libtorch's message.
        reason: String,
    },
    /// A model cannot be loaded or does not run.
    #[error("{0}")]
    Engine(String),
    /// An argument that c10d does not accept.
    #[error("{0}")]
    Argument(String),
}
