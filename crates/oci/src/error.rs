//! Why a layout cannot be read or written.

use std::path::PathBuf;

use slipway_digest::Digest;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a layout could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried, such as "writing".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The folder is not a layout, or a document in it cannot be read.
    #[error("{} is not a complete OCI image layout: {reason}", path.display())]
    Layout {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// A blob is not what its descriptor says.
    #[error(
        "{} is damaged: it has the digest {found} ({size} bytes) instead of {expected}{}",
        path.display(), expected_size.map(|size| format!(" ({size} bytes)")).unwrap_or_default()
    )]
    Damaged {
        /// The blob's file.
        path: PathBuf,
        /// The digest of its content.
        found: Digest,
        /// Its size in bytes.
        size: u64,
        /// The digest that it should have.
        expected: Digest,
        /// The size that it should have, if it is known.
        expected_size: Option<u64>,
    },
    /// The folder to write to holds something else.
    #[error("writing {}: the folder is not empty and not an OCI image layout; choose another folder", .0.display())]
    Occupied(PathBuf),
    /// A new layout could not take the place of the old one, and the old one could not be put back.
    #[error("writing {}: {source}; what was there before is now at {}", folder.display(), old.display())]
    Stranded {
        /// The layout's folder.
        folder: PathBuf,
        /// The folder that holds the old layout now.
        old: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether this machine is at fault, such as a full disk, rather than the path that was given.
    #[must_use]
    pub fn is_environment(&self) -> bool {
        match self {
            Self::File { source, .. } => is_of_this_machine(source),
            Self::Stranded { .. } => true,
            Self::Layout { .. } | Self::Damaged { .. } | Self::Occupied(_) => false,
        }
    }

    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn layout(path: impl Into<PathBuf>, reason: impl std::fmt::Display) -> Self {
        Self::Layout { path: path.into(), reason: reason.to_string() }
    }
}

/// Whether an error of the system is about this machine: no space, no permission, too many open files. A path that leads nowhere is
/// not.
#[must_use]
pub fn is_of_this_machine(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;

    !matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::InvalidFilename
    )
}
