//! Errors of calls to MLflow, with messages that say what to do.

use std::path::PathBuf;

/// Why a call failed. The cause is part of each message, so that it is never printed twice.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tracking address is invalid.
    #[error(
        "`{uri}` is not the address of an MLflow server: {reason}; give http:// or https://, host and port, such as http://127.0.0.1:5000, in MLFLOW_TRACKING_URI"
    )]
    Address {
        /// What was given, without credentials.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The variables for the login or for TLS contradict each other, or name something that does not exist. Nothing was sent.
    #[error("{0}")]
    Settings(String),
    /// MLflow requires a login, or does not accept this one.
    #[error("{0}")]
    Login(String),
    /// No attempt got a complete answer.
    #[error(
        "MLflow at {url} cannot be reached ({attempts} attempts; the last: {reason}): start it, or set MLFLOW_TRACKING_URI to where it is"
    )]
    Unreachable {
        /// The address of the call, without credentials.
        url: String,
        /// The number of attempts.
        attempts: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// No encrypted connection could be made, such as with a certificate that is not trusted; repeating it would not help.
    #[error(
        "no TLS connection to MLflow at {url}: {reason}; if an authority of your own signed its certificate, set \
         MLFLOW_TRACKING_SERVER_CERT_PATH to the authority's; otherwise compare the address and this machine's clock with the certificate"
    )]
    Tls {
        /// The address of the call, without credentials.
        url: String,
        /// What the TLS library says.
        reason: String,
    },
    /// MLflow answered every attempt with a server error (5xx) or a rate limit (429).
    #[error("MLflow failed on {method} {url}: HTTP {status} after {attempts} attempts: {message}; see MLflow's log")]
    Failing {
        /// The method.
        method: String,
        /// The address of the call, without credentials.
        url: String,
        /// HTTP status of the last answer.
        status: u16,
        /// The number of attempts.
        attempts: u32,
        /// The message of the last answer.
        message: String,
    },
    /// MLflow refused the request (4xx); repeating it would not help.
    #[error("MLflow refused {method} {url}: {code} (HTTP {status}): {message}")]
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
    /// The answer does not have the form of MLflow 3.
    #[error("{url} did not answer like MLflow 3 ({reason}): is it an MLflow server of version 3?")]
    Answer {
        /// The address of the call, without credentials.
        url: String,
        /// What does not fit.
        reason: String,
    },
    /// The server does not proxy its artifacts, so clients cannot reach them.
    #[error(
        "the server does not proxy the artifacts at `{uri}`: start MLflow with --serve-artifacts and \
         --artifacts-destination (a run keeps the location it was created with)"
    )]
    NotProxied {
        /// The artifact root.
        uri: String,
    },
    /// What was to be sent breaks a limit of MLflow's; nothing was sent.
    #[error("MLflow would refuse {what}: {reason}")]
    Invalid {
        /// The value that breaks the limit.
        what: String,
        /// The limit, and what to do.
        reason: String,
    },
    /// A file has another size than expected, so it was not downloaded, or not to its end.
    #[error("{url} has {found}, but {expected} bytes were expected: has the file changed since it was registered?")]
    Size {
        /// The address of the file, without credentials.
        url: String,
        /// What was expected, in bytes.
        expected: u64,
        /// What was found.
        found: String,
    },
    /// A file has more bytes than the caller takes.
    #[error("the artifact {path} has {size} bytes, and at most {most} are read")]
    TooLarge {
        /// Its path in the run.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The most that are read.
        most: u64,
    },
    /// A file on this machine cannot be read or written.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        reason: String,
    },
}

impl Error {
    /// Whether MLflow is down or failing, rather than refusing this request.
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

    pub(crate) fn has_code(&self, expected: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == expected)
    }
}
