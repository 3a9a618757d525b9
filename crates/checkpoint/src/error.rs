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

impl Error {
    /// Whether the store answers, and refuses: no right to write, no such bucket, an answer without what checkpoints need. Another attempt gets
    /// the same answer, so a job may as well do without checkpoints.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        use slipway_dataset::Error;

        match self {
            // other keys may be on their way
            Self::Store(error) if error.is_unavailable() => false,
            Self::Store(Error::Refused { .. } | Error::Missing { .. } | Error::Source { .. }) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_is_a_refusal() {
        use slipway_dataset::Error as Store;

        let refused = |stale_credentials| Store::Refused {
            endpoint: "http://minio".to_owned(),
            action: "write",
            uri: "s3://checkpoints".to_owned(),
            reason: "HTTP 403".to_owned(),
            stale_credentials,
        };
        let no_tag = Store::Source { path: "manifest.json".into(), reason: "no entity tag".to_owned() };
        for error in [refused(false), no_tag] {
            assert!(Error::from(error.clone()).is_refusal(), "{error}");
        }
        let full = Store::File { action: "write", path: "/cache/x".into(), reason: "No space left".to_owned() };
        let tls = Store::Tls { service: "the object store".to_owned(), reason: "expired".to_owned() };
        let away = Store::Unreachable { endpoint: "http://minio".to_owned(), reason: "refused".to_owned() };
        for error in [refused(true), full, tls, away] {
            assert!(!Error::from(error.clone()).is_refusal(), "{error}");
        }
        assert!(!Error::Busy { location: "s3://checkpoints".to_owned() }.is_refusal());
    }
}
