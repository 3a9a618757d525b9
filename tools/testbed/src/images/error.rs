use std::path::{Path, PathBuf};

/// Why an image could not be made or added.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be used.
    #[error(transparent)]
    File(#[from] crate::file::Error),
    /// A command was not found, or failed.
    #[error("`{command}` {problem}; {hint}")]
    Command {
        /// The command.
        command: String,
        /// What went wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// A layout could not be read or written.
    #[error(transparent)]
    Oci(#[from] slipway_oci::Error),
    /// Not an OCI image layout, or one without a usable image.
    #[error("{}: {problem}", image.display())]
    Image {
        /// The folder or archive.
        image: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A Go module that an image's files come from.
    #[error(transparent)]
    Build(#[from] crate::build::Error),
}

/// Result of making and adding images.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(super) fn image(image: &Path, problem: impl Into<String>) -> Self {
        Self::Image { image: image.to_owned(), problem: problem.into() }
    }
}
