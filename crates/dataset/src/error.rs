//! What can go wrong with a dataset, and what to do about it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_digest::{Digest, NotADigest};

/// Why a dataset could not be read, made or stored. Each message contains its cause, so nothing is printed twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Content does not have the digest or the size that names it.
    #[error(
        "{what} does not match its digest: {location} holds {actual} instead of {expected}; delete that object and add the dataset again (`slipway dataset add`)"
    )]
    DigestMismatch {
        /// Which part of which dataset, such as `train/images of mnist-10k`.
        what: String,
        /// Where it is: `s3://bucket/key at endpoint`.
        location: String,
        /// The digest or size that it should have.
        expected: String,
        /// The digest or size that it has.
        actual: String,
    },
    /// The store does not hold it.
    #[error(
        "{what} is not in the store: add the dataset (`slipway dataset add`, with a pipeline `slipway dataset build`), or correct the digest in its \
         declaration; {location} does not exist"
    )]
    Missing {
        /// Which part of which dataset.
        what: String,
        /// Where it should be.
        location: String,
    },
    /// The store does not answer, or cannot serve anybody at the moment.
    #[error(
        "cannot reach the object store at {endpoint} ({reason}): check that it is running, or set AWS_ENDPOINT_URL_S3 to its address"
    )]
    Unreachable {
        /// Its address.
        endpoint: String,
        /// Why the last attempt failed.
        reason: String,
    },
    /// No encrypted connection could be made, such as with a certificate that is not trusted.
    #[error(
        "no TLS connection to {service}: {reason}; if an authority of your own signed its certificate, set SSL_CERT_FILE to a file with the \
         authority's; otherwise compare its address (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL_STS, …) and this machine's clock with the certificate"
    )]
    Tls {
        /// The store with its address, or what gives the credentials for it.
        service: String,
        /// What the TLS library says.
        reason: String,
    },
    /// A source of credentials that is configured does not give any.
    #[error("cannot get credentials for the object store at {endpoint}: {reason}")]
    Credentials {
        /// The store's address.
        endpoint: String,
        /// Which source, and why it failed.
        reason: String,
        /// Whether the source may give them later, such as a token service that does not answer.
        transient: bool,
    },
    /// The store answers, but not with what was asked for.
    #[error("the object store at {endpoint} refuses to {action} {uri}: {reason}")]
    Refused {
        /// Its address.
        endpoint: String,
        /// What was asked.
        action: &'static str,
        /// The object or bucket, such as `s3://datasets`.
        uri: String,
        /// Its HTTP status, error code and message, and what to do.
        reason: String,
        /// Whether it refuses the key, the token or the time of the request, not what was asked: new credentials may be on their way.
        stale_credentials: bool,
    },
    /// The environment does not say where the store is, or says it wrongly.
    #[error("the object store is not configured: {0}")]
    Configuration(String),
    /// Not a digest.
    #[error(transparent)]
    NotADigest(#[from] NotADigest),
    /// A manifest whose digest is right but whose content is not usable.
    #[error("the manifest {digest} is not usable: {reason}")]
    Manifest {
        /// Its digest.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
    /// Bytes that should be an IDX file and are not.
    #[error("{what} is not a complete IDX file: {reason}")]
    Idx {
        /// Which file or part.
        what: String,
        /// What is wrong, with the counts.
        reason: String,
    },
    /// A dataset whose parts do not fit together.
    #[error("the dataset {name} is inconsistent: {reason}")]
    Inconsistent {
        /// Its name.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// A split that cannot be made.
    #[error("cannot split the dataset: {0}")]
    Split(String),
    /// A source file with unexpected content.
    #[error("{path}: {reason}", path = path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file on this machine that cannot be read or written.
    #[error("cannot {action} {path}: {reason}", path = path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        reason: String,
    },
}

impl Error {
    /// The failure to do something with a file on this machine.
    #[must_use]
    pub fn file(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        let advice = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "; free some space there, or keep the cache on another disk (SLIPWAY_CACHE of a worker, XDG_CACHE_HOME of a person)"
            }
            _ => "",
        };
        Self::File { action, path: path.to_owned(), reason: format!("{error}{advice}") }
    }

    /// Whether a later attempt, or one with renewed credentials, can succeed although nothing else changes: the store is down, or does
    /// not accept the key or the time of the request.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.is_transient() || matches!(self, Self::Refused { stale_credentials: true, .. })
    }

    /// Whether this process can succeed by trying again.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Credentials { transient: true, .. })
    }

    /// Says how long it was tried, if that was long.
    pub(crate) fn tried_for(mut self, time: Duration) -> Self {
        let transient = self.is_transient();
        if let Self::Unreachable { reason, .. } | Self::Credentials { reason, .. } = &mut self
            && transient
            && time >= Duration::from_secs(1)
        {
            reason.push_str(&format!("; tried for {} s", time.as_secs()));
        }
        self
    }
}
