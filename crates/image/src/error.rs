//! What can go wrong, with the way out.

use std::path::PathBuf;

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
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A declaration has mistakes.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Declaration(Vec<Finding>),
    /// No such image.
    #[error("no image is called {name}{}: images are declared in apps/<name>/image.yaml; `slipway image list` shows them", near.as_ref().map(|near| format!(" (did you mean {near}?)")).unwrap_or_default())]
    UnknownImage {
        /// What was asked for.
        name: String,
        /// The nearest name.
        near: Option<String>,
    },
    /// The lock is not there, cannot be read, or is of another declaration.
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
    /// The mirror's index is not to be trusted, or cannot be checked.
    #[error("{0}")]
    Archive(String),
    /// A locked file is not on the mirror any more.
    #[error(
        "{url} is not there any more ({status}): Debian keeps only the newest versions. Set {variable} to a snapshot of the lock's time, such as http://snapshot.debian.org/archive/{archive}/<time>, or renew the lock with `slipway image lock {image}`"
    )]
    Gone {
        /// Where it was looked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The setting that names another mirror.
        variable: &'static str,
        /// `debian` or `debian-security`.
        archive: &'static str,
        /// The image.
        image: String,
    },
    /// A download failed.
    #[error("downloading {url}: {reason}; check the network and run this again")]
    Download {
        /// Where from.
        url: String,
        /// Why not.
        reason: String,
    },
    /// What came is not what was locked.
    #[error("{what} has sha256 {found} ({found_size} bytes), and the lock says {wanted}{}: it was not used. If the lock is right, the source or a proxy changed it; else renew the lock", wanted_size.map(|size| format!(" ({size} bytes)")).unwrap_or_default())]
    Hash {
        /// Which file.
        what: String,
        /// What came.
        found: String,
        /// Its size.
        found_size: u64,
        /// What the lock says.
        wanted: String,
        /// The size that the lock says, if it does.
        wanted_size: Option<u64>,
    },
    /// A file that goes into the image is not there.
    #[error("{what} is not at {}: run `{command}`", path.display())]
    Missing {
        /// Such as "the binary slipway-server".
        what: String,
        /// Where it was looked for.
        path: PathBuf,
        /// The command that makes it.
        command: String,
    },
    /// The platform cannot be built from what this machine has.
    #[error("{image} cannot be built for {platform} here: {reason}")]
    Platform {
        /// The image.
        image: String,
        /// Such as `linux/arm64`.
        platform: String,
        /// What is missing and how to get it.
        reason: String,
    },
    /// Two sources want the same path in an image.
    #[error("{path} comes from {first} and from {second}, and they differ: leave one out")]
    Conflict {
        /// The path in the image.
        path: String,
        /// Where it came from first.
        first: String,
        /// Where it came from again.
        second: String,
    },
    /// A program could not be run or failed.
    #[error("{program}: {reason}")]
    Program {
        /// Its name.
        program: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// An archive, an ELF file or a document cannot be understood.
    #[error("{what}: {reason}")]
    Malformed {
        /// Which one.
        what: String,
        /// Why.
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

    /// Whether a service elsewhere did not answer, or answered wrong.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Download { .. })
    }

    /// Whether this machine lacks something that a command gets.
    #[must_use]
    pub fn is_environment(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Platform { .. } | Self::Program { .. })
    }

    /// Whether a committed file is not what its declaration asks for.
    #[must_use]
    pub fn is_out_of_date(&self) -> bool {
        matches!(self, Self::Lock { .. })
    }
}
