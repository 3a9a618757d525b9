//! Errors of models.

use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a model cannot be built, run, saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration that describes no network.
    #[error("model configuration: {0}")]
    Config(String),
    /// A file of a bundle could not be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// `config.json` does not have the form that this version writes.
    #[error("{} is not a model configuration: {source}", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// The parser's error, with line and column.
        source: serde_json::Error,
    },
    /// `model.safetensors` does not belong to `config.json`.
    #[error("weights do not fit a {architecture}: {problem}")]
    Weights {
        /// The architecture that `config.json` names.
        architecture: crate::Architecture,
        /// Which tensor, and what is wrong with it.
        problem: String,
    },
    /// The caller's images do not have the shape that the model takes.
    #[error("{n} images of {shape:?} are {expected} numbers, not {found}")]
    InputLength {
        /// Number of images.
        n: usize,
        /// Shape of one image, channels first.
        shape: [i64; 3],
        /// `n` times the size of one image.
        expected: usize,
        /// How many numbers were given.
        found: usize,
    },
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl Error {
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what: "read", path, source }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what: "write", path, source }
    }
}
