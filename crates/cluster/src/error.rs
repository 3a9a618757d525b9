//! What can go wrong between here and the cluster.

use std::time::Duration;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No way to any cluster is configured, or not to the one that was named.
    #[error(
        "no cluster is configured: {0}; set KUBECONFIG, or name a context with --context (`kubectl config get-contexts` lists them)"
    )]
    NoConfiguration(String),
    /// The API server does not answer.
    #[error("the cluster at {server} does not answer: {message}")]
    Unreachable {
        /// Its address.
        server: String,
        /// What happened.
        message: String,
    },
    /// The API server refuses a request.
    #[error("the API server refuses {what} ({code} {reason}): {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// HTTP's status.
        code: u16,
        /// Kubernetes' word for it.
        reason: String,
        /// What the server says.
        message: String,
    },
    /// The cluster does not know a kind.
    #[error("the cluster does not know {kind} of {api_version}: is its CustomResourceDefinition there?")]
    UnknownKind {
        /// Such as `argoproj.io/v1alpha1`.
        api_version: String,
        /// Such as `Application`.
        kind: String,
    },
    /// An object is not what it must be.
    #[error("{what}: {message}")]
    Malformed {
        /// Which object.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// The same credential has two values.
    #[error(
        "credential `{name}` is one thing in {one} and another in {other}: delete the wrong one of the two, and run this again"
    )]
    Disagreement {
        /// Its name in the declaration.
        name: String,
        /// A Secret and its key.
        one: String,
        /// Another.
        other: String,
    },
    /// The cluster belongs to something else.
    #[error("{0}")]
    Taken(String),
    /// A condition did not come true in time.
    #[error("after {} s still waiting for {}", after.as_secs(), waiting.join("; "))]
    Timeout {
        /// How long was waited.
        after: Duration,
        /// What for, with its state.
        waiting: Vec<String>,
    },
    /// The machine gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
}

impl Error {
    /// Whether the same request may do in a moment: the API server is away, or busy.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => matches!(code, 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether the server knows no such object, or no such place for it.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. } | Self::UnknownKind { .. })
    }

    /// Whether somebody else was quicker.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }
}
