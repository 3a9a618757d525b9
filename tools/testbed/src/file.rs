//! The error of a file or folder that could not be used.

use std::io;
use std::path::{Path, PathBuf};

/// The system's error, and the file or folder that it is about.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct Error {
    /// The file or folder.
    pub path: PathBuf,
    /// The system's error.
    pub error: io::Error,
}

/// Adds the file or folder to an error, for `map_err`.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| Error { path, error }
}
