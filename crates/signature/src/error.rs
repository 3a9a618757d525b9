//! Errors of signatures.

use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a version's files do not say what a server needs to know.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or a folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The folder holds neither of the two forms.
    #[error(
        "{} holds nothing that a server runs: neither slipway/model.json, nor config.json and model.safetensors",
        folder.display()
    )]
    NotServable {
        /// The version's folder.
        folder: PathBuf,
    },
    /// A file's content is wrong.
    #[error("{file}: {problem}")]
    Invalid {
        /// The file, as the caller named it.
        file: String,
        /// Where in the file, what is wrong, and what is allowed.
        problem: String,
    },
}

impl Error {
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    pub(crate) fn invalid(file: &str, problem: impl Into<String>) -> Self {
        Self::Invalid { file: file.to_owned(), problem: problem.into() }
    }
}
