//! What can go wrong, with the way out.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an image could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a reference.
    #[error(
        "`{reference}` does not name an image in a registry: {reason}; such as registry.example.org/team/trainer:1.2"
    )]
    Reference {
        /// What was given.
        reference: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tag where a digest is required.
    #[error("`{0}` has no digest: a tag can point elsewhere tomorrow; give <name>@sha256:<64 hexadecimal digits>")]
    NoDigest(String),
    /// The folder is no layout, or not a whole one.
    #[error("{} is not a whole OCI image layout: {reason}; build the image again", path.display())]
    Layout {
        /// The folder or the file in it.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// The registry wants to know who asks, and was told wrong or nothing.
    #[error(
        "{registry} does not let you in: {reason}; sign in with `docker login {registry}`, or `podman login --authfile ~/.docker/config.json {registry}`"
    )]
    Denied {
        /// Its host.
        registry: String,
        /// What it said.
        reason: String,
    },
    /// The registry said no.
    #[error("{registry} refuses {what}: {reason}")]
    Refused {
        /// Its host.
        registry: String,
        /// What was tried.
        what: String,
        /// What it said.
        reason: String,
    },
    /// Nobody answers, or not in time.
    #[error(
        "{what} failed {attempts} times at {registry} (the last: {reason}): what arrived stays there, so trying again goes on from here"
    )]
    Unreachable {
        /// Its host.
        registry: String,
        /// What was tried.
        what: String,
        /// How often.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// The registry holds something else than was sent or asked for.
    #[error(
        "{registry} answers {what} with the digest {found} instead of {expected}: it, or something between, is broken"
    )]
    OtherDigest {
        /// Its host.
        registry: String,
        /// Of what.
        what: String,
        /// What was sent or asked for.
        expected: String,
        /// What came back.
        found: String,
    },
    /// A file of this machine could not be read or written on the way.
    #[error("{what}: {source}")]
    Local {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("writing {}: {source}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether a service did not answer or refused, rather than what was given being wrong.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::Refused { .. } | Self::Unreachable { .. } | Self::OtherDigest { .. })
    }
}
