//! Errors of the crate.

/// Why samples cannot be written or read. Each message contains its cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object store.
    #[error(transparent)]
    Store(#[from] slipway_dataset::Error),
    /// A file was deleted after it was listed.
    #[error("{uri} is gone: it was older than the retention; list the samples again")]
    Gone {
        /// Its address, such as `s3://requests/mnist/3/2026-11-30/07/server-0-1764486000000-1a2b3c4d.parquet`.
        uri: String,
    },
    /// A file that is not a file of samples.
    #[error("{uri} is not a file of samples: {reason}; if another program wrote it, delete it")]
    Malformed {
        /// Its address.
        uri: String,
        /// What is wrong.
        reason: String,
    },
    /// Samples that cannot be written as a file.
    #[error("{count} samples cannot be written as Parquet: {reason}")]
    Unwritable {
        /// How many.
        count: usize,
        /// What the library says.
        reason: String,
    },
    /// A setting is not usable.
    #[error("{what} is {value}: it must be {allowed}")]
    Setting {
        /// Which one.
        what: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
}
