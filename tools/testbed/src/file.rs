//! A file or folder that could not be used: the one way in which this crate says it.

use std::io;
use std::path::{Path, PathBuf};

/// What the system said, and of which file or folder.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct Error {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// Says of which file or folder an error is, for `map_err`.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| Error { path, error }
}
