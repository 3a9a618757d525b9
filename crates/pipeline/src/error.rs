//! What can go wrong with a build.

use std::path::{Path, PathBuf};

/// Why nothing was published. Each message contains its cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A source does not fit its declaration, or cannot be read.
    #[error(transparent)]
    Source(#[from] slipway_sources::Error),
    /// The object store, or a file of this machine.
    #[error(transparent)]
    Dataset(#[from] slipway_dataset::Error),
    /// A temporary file that cannot be written or read.
    #[error("cannot use a temporary file in {}: {reason}; free some space there, or give a folder on another disk", .folder.display())]
    Temporary {
        /// The folder.
        folder: PathBuf,
        /// The system's error.
        reason: String,
    },
    /// Somebody else published again and again while this build was under way.
    #[error(
        "{0} was published by somebody else {1} times while this build was under way: run it again when nobody else does"
    )]
    Overtaken(String, usize),
}

impl Error {
    pub(crate) fn temporary(folder: &Path, error: &std::io::Error) -> Self {
        Self::Temporary { folder: folder.to_owned(), reason: error.to_string() }
    }

    /// Data that does not fit what `field` declares.
    pub(crate) fn problem(
        field: &str,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        slipway_sources::Error::problem(field, code, message, help).into()
    }

    pub(crate) fn file(action: &'static str, path: &Path, error: &std::io::Error) -> Self {
        slipway_dataset::Error::file(action, path, error).into()
    }
}
