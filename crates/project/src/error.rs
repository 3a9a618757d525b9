//! Why a project cannot be read.

use std::path::PathBuf;

use slipway_source::Finding;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a project cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Files have mistakes.
    #[error("{} found", crate::count(.0.len(), "problem"))]
    Invalid(Vec<Finding>),
    /// A file or folder of the work tree cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// git failed.
    #[error(transparent)]
    Git(#[from] slipway_git::Error),
}
