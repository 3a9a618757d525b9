//! What can go wrong between here and MLflow, said so that a person can act on it.

use std::path::PathBuf;

/// Why a call failed. The cause is part of each message, so that it is never printed twice.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tracking address is not one.
    #[error(
        "`{uri}` is not the address of an MLflow server: {reason}; give http:// or https://, host and port, such as http://127.0.0.1:5000, in MLFLOW_TRACKING_URI"
    )]
    Address {
        /// What was given, without credentials.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answered, or the answer broke off, at every attempt.
    #[error(
        "MLflow at {url} cannot be reached ({attempts} attempts; the last: {reason}): start it, or set MLFLOW_TRACKING_URI to where it is"
    )]
    Unreachable {
        /// The address of the call, without credentials.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// MLflow answered every attempt with a failure of its own (5xx, or 429).
    #[error("MLflow fails at {method} {url}: HTTP {status} after {attempts} attempts: {message}; its log says more")]
    Failing {
        /// The method.
        method: String,
        /// The address of the call, without credentials.
        url: String,
        /// HTTP status of the last answer.
        status: u16,
        /// How often it was tried.
        attempts: u32,
        /// What the last answer said.
        message: String,
    },
    /// MLflow refused the request (4xx); asking again would not help.
    #[error("MLflow refuses {method} {url}: {code} (HTTP {status}): {message}")]
    Refused {
        /// The method.
        method: String,
        /// The address of the call, without credentials.
        url: String,
        /// HTTP status.
        status: u16,
        /// MLflow's `error_code`, such as `RESOURCE_DOES_NOT_EXIST`; empty when the answer has none.
        code: String,
        /// MLflow's message.
        message: String,
    },
    /// The answer is not what MLflow 3 gives.
    #[error("{url} answers what MLflow 3 would not ({reason}): is it an MLflow server, of version 3?")]
    Answer {
        /// The address of the call, without credentials.
        url: String,
        /// What does not fit.
        reason: String,
    },
    /// The server keeps artifacts where only it can reach, without offering them itself.
    #[error(
        "artifacts at `{uri}` are not offered by the server: start MLflow with --serve-artifacts and --artifacts-destination (a run keeps the place it was made with)"
    )]
    NotProxied {
        /// The artifact root.
        uri: String,
    },
    /// What was to be sent breaks a limit of MLflow's; nothing was sent.
    #[error("MLflow would refuse {what}: {reason}")]
    Invalid {
        /// What it is about.
        what: String,
        /// The limit, and what to do.
        reason: String,
    },
    /// A file on this machine.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl Error {
    /// Whether MLflow is down or failing, as opposed to refusing this request.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failing { .. })
    }

    /// Whether MLflow says that what was asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Refused { status, code, .. } => {
                code == "RESOURCE_DOES_NOT_EXIST" || (*status == 404 && code.is_empty())
            }
            _ => false,
        }
    }

    pub(crate) fn has_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}
