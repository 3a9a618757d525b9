//! What can go wrong, and what to do then.

use slipway_digest::Digest;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an image could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text does not name an image in a registry.
    #[error(
        "`{reference}` does not name an image in a registry: {reason}; an example is registry.example.org/team/trainer:1.2"
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
    /// What a registry has under this name cannot be a part of an index.
    #[error("{image} cannot be put into an index: {reason}")]
    NotIndexable {
        /// The manifest.
        image: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The layout to push is incomplete or damaged.
    #[error("{0}; build the image again")]
    Layout(slipway_oci::Error),
    /// The layout to pull into cannot be written.
    #[error("{0}")]
    Write(slipway_oci::Error),
    /// The registry requires credentials, or does not accept these.
    #[error(
        "{registry} denied access: {reason}; sign in with `docker login {registry}`, or `podman login --authfile ~/.docker/config.json {registry}`"
    )]
    Denied {
        /// The registry's host.
        registry: String,
        /// What it answered.
        reason: String,
    },
    /// The registry refused a request.
    #[error("{registry} refuses {what}: {reason}")]
    Refused {
        /// The registry's host.
        registry: String,
        /// What was tried.
        what: String,
        /// What it answered.
        reason: String,
    },
    /// The registry did not answer, or not in time.
    #[error(
        "{what} failed {attempts} times at {registry} (the last: {reason}): what arrived is kept there, so run this again to continue"
    )]
    Unreachable {
        /// The registry's host.
        registry: String,
        /// What was tried.
        what: String,
        /// How often.
        attempts: u32,
        /// Why the last attempt failed.
        reason: String,
    },
    /// The registry answers with other content than was sent or asked for.
    #[error(
        "{registry} answers {what} with the digest {found} instead of {expected}: the registry, or something in between, is broken"
    )]
    OtherDigest {
        /// The registry's host.
        registry: String,
        /// What was tried.
        what: String,
        /// The digest that was sent or asked for.
        expected: Digest,
        /// The digest in the answer.
        found: String,
    },
    /// The registry sends more bytes than the manifest says.
    #[error(
        "{registry} answers {what} with more than the {size} bytes that the manifest says: the registry, or something in between, is broken"
    )]
    TooLarge {
        /// The registry's host.
        registry: String,
        /// What was tried.
        what: String,
        /// The size in the manifest.
        size: u64,
    },
    /// A file of this machine could not be read or written.
    #[error("{what}: {source}")]
    Local {
        /// What was tried.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether this machine is at fault, such as a full disk.
    #[must_use]
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Layout(error) | Self::Write(error) => error.is_environment(),
            Self::Local { source, .. } => slipway_oci::is_of_this_machine(source),
            _ => false,
        }
    }

    /// Whether the registry is at fault: it did not answer, refused, or answered with something wrong.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::Refused { .. }
                | Self::Unreachable { .. }
                | Self::OtherDigest { .. }
                | Self::TooLarge { .. }
        )
    }
}
