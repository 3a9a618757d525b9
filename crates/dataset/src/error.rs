//! What can go wrong with a dataset, said so that a person can act on it.

use std::path::PathBuf;

use crate::Digest;

/// Why a dataset could not be read, made or stored. The cause is part of each message, so that it is never printed twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Content is not what its name says.
    #[error(
        "{what} is not what its digest says: {location} holds {actual} instead of {expected}; delete that object and add the dataset again (`slipway dataset add`)"
    )]
    DigestMismatch {
        /// Which part of which dataset, such as `train/images of mnist-10k`.
        what: String,
        /// Where it lies: `s3://bucket/key at endpoint`.
        location: String,
        /// What it should be.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// The store does not hold it.
    #[error(
        "{what} is not in the store: there is no {location}; add the dataset (`slipway dataset add`), or correct the digest in its declaration"
    )]
    Missing {
        /// Which part of which dataset.
        what: String,
        /// Where it should lie.
        location: String,
    },
    /// The store does not answer.
    #[error(
        "the object store at {endpoint} cannot be reached ({reason}): start it, or set AWS_ENDPOINT_URL_S3 to where it is"
    )]
    Unreachable {
        /// Its address.
        endpoint: String,
        /// Why the last attempt failed.
        reason: String,
    },
    /// The store answers, but not with what was asked for.
    #[error("the object store at {endpoint} refuses to {action} {location}: {reason}")]
    Refused {
        /// Its address.
        endpoint: String,
        /// What was asked.
        action: &'static str,
        /// Of which object or bucket.
        location: String,
        /// Its error code and message, or HTTP status.
        reason: String,
    },
    /// The store cannot be addressed with what the environment says.
    #[error("the object store is not configured: {0}")]
    Configuration(String),
    /// Not a digest.
    #[error("`{0}` is not a digest: give sha256: and 64 hexadecimal digits in lower case")]
    NotADigest(String),
    /// A manifest whose digest is right but whose content is not usable.
    #[error("the manifest {digest} is not usable: {reason}")]
    Manifest {
        /// Its digest.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
    /// Bytes that are not the IDX file that they should be.
    #[error("{what} is not a whole IDX file: {reason}")]
    Idx {
        /// Which file or part.
        what: String,
        /// What is wrong, with the counts.
        reason: String,
    },
    /// A dataset that does not fit together.
    #[error("the dataset {name} does not fit together: {reason}")]
    Inconsistent {
        /// Its name.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// A split that cannot be made.
    #[error("the split cannot be made: {0}")]
    Split(String),
    /// A source file that is not as it should be.
    #[error("{path}: {reason}", path = path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file on this machine.
    #[error("cannot {action} {path}: {reason}", path = path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl Error {
    /// Whether the store is down, as opposed to holding something wrong.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}
