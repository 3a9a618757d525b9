use std::path::{Path, PathBuf};

/// Why an image could not be made or taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error(transparent)]
    File(#[from] crate::file::Error),
    /// A command that is not there or fails.
    #[error("`{command}` {problem}; {hint}")]
    Command {
        /// The command.
        command: String,
        /// What happened.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// Not an OCI image layout, or a broken one.
    #[error("{}: {problem}", image.display())]
    Image {
        /// The folder or archive.
        image: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A module of an image's files.
    #[error(transparent)]
    Build(#[from] crate::build::Error),
}

/// Of images.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(super) fn image(image: &Path, problem: impl Into<String>) -> Self {
        Self::Image { image: image.to_owned(), problem: problem.into() }
    }
}
