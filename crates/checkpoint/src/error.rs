//! What can go wrong with checkpoints.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a checkpoint was not written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The store cannot be reached, refuses, or a file cannot be read.
    #[error(transparent)]
    Store(#[from] slipway_dataset::Error),
    /// Another attempt of the job has claimed its checkpoints.
    #[error(
        "attempt {own} of {job} may not write checkpoints any more: attempt {other} has begun, so this worker belongs to an attempt that is \
         taken for dead, and ends"
    )]
    Overtaken {
        /// The job.
        job: String,
        /// This attempt.
        own: u64,
        /// The one that has begun; 0 if the checkpoints were removed.
        other: u64,
    },
    /// Others write the manifest again and again.
    #[error("{location} is being written by others at this moment: try again")]
    Busy {
        /// Where it is.
        location: String,
    },
    /// A checkpoint that another worker has found is not there, or not whole.
    #[error("{0}")]
    Lost(String),
    /// A checkpoint that cannot be described.
    #[error("the checkpoint {name} of {job} cannot be stored: {reason}")]
    Unusable {
        /// The job.
        job: String,
        /// The checkpoint.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}
