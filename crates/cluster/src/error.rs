//! What can go wrong between this program and the cluster, by the stage at which it does.

use std::error::Error as StdError;
use std::time::Duration;

use kube::client::AuthError;
use kube::core::Status;
use kube::error::DiscoveryError;
use kube::runtime::watcher;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration names no cluster, not the one that was asked for, or cannot be used.
    #[error(
        "no cluster is configured: {0}; set KUBECONFIG, or name a context with --context (`kubectl config get-contexts` lists them)"
    )]
    NoConfiguration(String),
    /// No credentials could be obtained, or the API server does not accept them.
    #[error(
        "cannot log in to the cluster at {server}: {message}; log in again, then `kubectl auth whoami` must succeed"
    )]
    Login {
        /// The API server's address.
        server: String,
        /// What the credential plugin or the API server says.
        message: String,
    },
    /// The API server was reached, and no encrypted connection could be made.
    #[error(
        "no TLS connection to the cluster at {server}: {message}; compare `server` and `certificate-authority-data` in the \
         kubeconfig with the cluster's, and this machine's clock with the time"
    )]
    Tls {
        /// The API server's address.
        server: String,
        /// What the TLS library says.
        message: String,
    },
    /// The API server does not answer.
    #[error("the cluster at {server} does not answer: {message}; check the address, the VPN and the firewall")]
    Unreachable {
        /// The API server's address.
        server: String,
        /// What happened.
        message: String,
    },
    /// The API server refuses a request.
    #[error("the API server refuses {what} ({code} {reason}): {message}")]
    Refused {
        /// The object or the request.
        what: String,
        /// HTTP's status.
        code: u16,
        /// Kubernetes' word for it.
        reason: String,
        /// What the server says.
        message: String,
    },
    /// An object was written between reading it and writing it.
    #[error("{what} was written by someone else at the same time: {message}; run this again")]
    Conflict {
        /// The object or the request.
        what: String,
        /// What the server says.
        message: String,
    },
    /// The cluster does not serve a kind.
    #[error("the cluster does not know {kind} of {api_version}: is its CustomResourceDefinition installed?")]
    UnknownKind {
        /// Such as `argoproj.io/v1alpha1`.
        api_version: String,
        /// Such as `Application`.
        kind: String,
    },
    /// The cluster does not serve a kind yet, although its definition was applied.
    #[error("{kind} of {api_version} is not served yet")]
    NotServedYet {
        /// Such as `argoproj.io/v1alpha1`.
        api_version: String,
        /// Such as `Application`.
        kind: String,
    },
    /// An object or an answer is not of the form that it must have.
    #[error("{what}: {message}")]
    Malformed {
        /// The object or the request.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// The same credential has two values.
    #[error(
        "credential `{name}` has one value in {one} and another in {other}: delete the wrong one of the two, and run this again"
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
    /// Sorts kube's error by the stage at which it arose. `what` is the object or the request.
    pub(crate) fn of_request(server: &str, what: &str, error: kube::Error) -> Self {
        let server = || server.to_owned();
        match error {
            kube::Error::Api(status) => Self::of_status(server(), what, *status),
            kube::Error::Auth(error) => Self::Login { server: server(), message: login(&error) },
            kube::Error::Discovery(DiscoveryError::MissingKind(kind) | DiscoveryError::MissingApiGroup(kind)) => {
                Self::UnknownKind { api_version: what.to_owned(), kind }
            }
            kube::Error::InferConfig(_)
            | kube::Error::InferKubeconfig(_)
            | kube::Error::RustlsTls(_)
            | kube::Error::TlsRequired
            | kube::Error::ProxyProtocolDisabled { .. }
            | kube::Error::ProxyProtocolUnsupported { .. } => Self::NoConfiguration(slipway_causes::root(&error)),
            kube::Error::SerdeError(_)
            | kube::Error::FromUtf8(_)
            | kube::Error::BuildRequest(_)
            | kube::Error::HttpError(_)
            | kube::Error::Discovery(_) => {
                Self::Malformed { what: what.to_owned(), message: slipway_causes::root(&error) }
            }
            other => Self::of_connection(server(), &other),
        }
    }

    /// The same for a watch.
    pub(crate) fn of_watch(server: &str, what: &str, error: watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::of_request(server, what, error),
            watcher::Error::WatchError(status) => Self::of_status(server.to_owned(), what, *status),
            watcher::Error::NoResourceVersion => {
                Self::Malformed { what: what.to_owned(), message: "the API server cannot watch it".to_owned() }
            }
        }
    }

    fn of_status(server: String, what: &str, status: Status) -> Self {
        let Status { code, reason, message, .. } = status;
        match code {
            401 => {
                let message = if message.is_empty() { "401 Unauthorized".to_owned() } else { message };
                Self::Login { server, message: format!("the API server does not accept the credentials: {message}") }
            }
            409 => Self::Conflict { what: what.to_owned(), message },
            _ => Self::Refused { what: what.to_owned(), code, reason, message },
        }
    }

    /// What the layers below HTTP met: they hand their errors up inside of others.
    fn of_connection(server: String, error: &(dyn StdError + 'static)) -> Self {
        if let Some(error) = slipway_causes::find::<AuthError>(error) {
            return Self::Login { server, message: login(error) };
        }
        if let Some(message) = slipway_causes::tls(error) {
            return Self::Tls { server, message };
        }
        Self::Unreachable { server, message: slipway_causes::root(error) }
    }

    /// Whether the same request may succeed in a moment: the API server is away or busy, or someone else wrote at the same time.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Conflict { .. } | Self::NotServedYet { .. } => true,
            Self::Refused { code, .. } => matches!(code, 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether the server knows no such object, or no such namespace or kind for it.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. } | Self::UnknownKind { .. } | Self::NotServedYet { .. })
    }
}

/// Why there are no credentials. kube prints what a credential plugin says as a list of bytes.
fn login(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { cmd, out } => {
            let errors = String::from_utf8_lossy(&out.stderr);
            // kube puts the variable that it sets in front
            let command = cmd.strip_prefix("KUBERNETES_EXEC_INFO=").and_then(|cmd| cmd.split_once("}\" "));
            let command = command.map_or(cmd.as_str(), |(_, command)| command);
            format!("`{command}` failed ({}): {}", out.status, errors.trim())
        }
        other => slipway_causes::chain(other),
    }
}
