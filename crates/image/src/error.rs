//! What can go wrong, and what to do then.

use std::path::PathBuf;

use slipway_digest::Digest;
use slipway_source::Finding;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an image could not be declared, locked, built or verified. Each message ends with what to do.
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
    /// An OCI layout could not be read or written.
    #[error(transparent)]
    Oci(#[from] slipway_oci::Error),
    /// Declarations have mistakes.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Declaration(Vec<Finding>),
    /// No image is declared.
    #[error("no image is declared: write trainers/<name>/image.yaml for a training program, or apps/<name>/image.yaml")]
    NoImage,
    /// No image has this name.
    #[error(
        "unknown image {name}{}: images are declared in apps/<name>/image.yaml and trainers/<name>/image.yaml; `slipway image list` shows them",
        near.as_ref().map(|near| format!(" (did you mean {near}?)")).unwrap_or_default()
    )]
    UnknownImage {
        /// The name.
        name: String,
        /// The nearest name that is declared.
        near: Option<String>,
    },
    /// The lock is missing, cannot be read, or is out of date.
    #[error("{} {reason}: run `slipway image lock {image}` and commit the file", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The image.
        image: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A Debian package cannot be resolved.
    #[error("{0}")]
    Package(String),
    /// The mirror's index is not signed by Debian, or does not fit its files.
    #[error("{0}")]
    Archive(String),
    /// The mirror no longer has a locked file.
    #[error(
        "{url} no longer exists ({status}): Debian keeps only the newest versions. Set {variable} to a snapshot of the lock's time, such as http://snapshot.debian.org/archive/{archive}/<time>, or renew the lock with `slipway image lock {image}`"
    )]
    Gone {
        /// The file's URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The environment variable that names another mirror.
        variable: &'static str,
        /// `debian` or `debian-security`.
        archive: &'static str,
        /// The image.
        image: String,
    },
    /// A download failed.
    #[error("downloading {url}: {reason}; check the network and run this again")]
    Download {
        /// The URL.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// A file is not the one that was locked.
    #[error(
        "{what} {found}, and the lock says {locked}: it was not used. If the lock is right, the source or a proxy changed the file; \
         otherwise renew the lock"
    )]
    NotLocked {
        /// The file.
        what: String,
        /// What was found, such as "has 12 bytes".
        found: String,
        /// The hash in the lock, and the size if the lock has one.
        locked: String,
    },
    /// A file of the image is missing.
    #[error("{what} was not found at {}: run `{command}`", path.display())]
    Missing {
        /// Such as "the program slipway-server".
        what: String,
        /// Where it should be.
        path: PathBuf,
        /// The command that makes it.
        command: String,
    },
    /// This machine lacks something to build for a platform.
    #[error("{image} cannot be built for {platform} here: {reason}")]
    Platform {
        /// The image.
        image: String,
        /// Such as `linux/arm64`.
        platform: String,
        /// What is missing, and how to get it.
        reason: String,
    },
    /// Two sources have different files for one path of an image.
    #[error("{path} comes from {first} and from {second}, and they differ: leave one out")]
    Conflict {
        /// The path in the image.
        path: String,
        /// The first source.
        first: String,
        /// The second source.
        second: String,
    },
    /// The repository could not be read.
    #[error(transparent)]
    Git(#[from] slipway_git::Error),
    /// A program could not be run or failed.
    #[error("{program}: {reason}")]
    Program {
        /// The program, or the command.
        program: String,
        /// What went wrong, and what to do.
        reason: String,
    },
    /// An archive, an ELF file or a document cannot be read.
    #[error("{what}: {reason}")]
    Malformed {
        /// The archive, file or document.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Malformed { what: what.into(), reason: reason.to_string() }
    }

    pub(crate) fn not_locked(
        what: impl Into<String>,
        found: impl Into<String>,
        locked: Digest,
        locked_size: Option<u64>,
    ) -> Self {
        let size = locked_size.map(|size| format!(" ({size} bytes)")).unwrap_or_default();
        Self::NotLocked { what: what.into(), found: found.into(), locked: format!("{}{size}", locked.hex()) }
    }

    /// Whether a mirror is at fault: it did not answer, refused, or answered with something that cannot be trusted.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Archive(_) | Self::Gone { .. } | Self::Download { .. })
    }

    /// Whether this machine lacks something: space on a disk, a permission, or what can be installed or built.
    #[must_use]
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Platform { .. } | Self::Program { .. } => true,
            Self::File { source, .. } => slipway_oci::is_of_this_machine(source),
            Self::Oci(error) => error.is_environment(),
            _ => false,
        }
    }
}
