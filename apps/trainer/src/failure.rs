//! Why a worker stops, and the exit code that says so.

use std::process::ExitCode;

/// Why a worker stops. Each message says what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The environment, the trial or the data are invalid: exit code 3.
    #[error("{0}")]
    Input(String),
    /// MLflow or the object store is down or refuses a request, after bounded retries: exit code 6.
    #[error("{0}")]
    Service(String),
    /// The metric that the gate asks for is missing or not a number: exit code 7.
    #[error("{0}")]
    Gate(String),
    /// Another worker did not start, has ended or cannot be reached: exit code 8. Its own exit code says why.
    #[error("{0}")]
    Peer(String),
    /// Anything else: exit code 1.
    #[error("{0}")]
    Unexpected(String),
}

/// A result of this program.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// The documented exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Unexpected(_) => 1,
            Self::Input(_) => 3,
            Self::Service(_) => 6,
            Self::Gate(_) => 7,
            Self::Peer(_) => 8,
        })
    }
}

impl From<slipway_c10d::Error> for Failure {
    fn from(error: slipway_c10d::Error) -> Self {
        use slipway_c10d::Error;

        match &error {
            // this worker's own port is in use; no other worker is at fault
            Error::Rendezvous { reason, .. } if reason.contains("address already in use") => {
                Self::Unexpected(error.to_string())
            }
            Error::Rendezvous { .. } | Error::Collective { .. } => Self::Peer(error.to_string()),
            Error::Reducer { reason, .. } if is_lost_connection(reason) => Self::Peer(error.to_string()),
            Error::Reducer { .. } | Error::Optimizer { .. } | Error::Argument(_) => Self::Unexpected(error.to_string()),
        }
    }
}

/// Whether libtorch's message says that a connection to another worker was lost.
fn is_lost_connection(reason: &str) -> bool {
    ["Connection closed by peer", "Connection reset by peer", "gloo"].iter().any(|sign| reason.contains(sign))
}

impl From<slipway_model::Error> for Failure {
    fn from(error: slipway_model::Error) -> Self {
        match error {
            slipway_model::Error::Torch(error) => error.into(),
            slipway_model::Error::File { .. } => Self::Unexpected(error.to_string()),
            other => Self::Input(format!("the trial's model: {other}")),
        }
    }
}

impl From<tch::TchError> for Failure {
    fn from(error: tch::TchError) -> Self {
        // C++ frames follow the first line of libtorch's messages
        let text = error.to_string();
        let reason = text.lines().next().unwrap_or_default();
        if is_lost_connection(&text) {
            return Self::Peer(format!("another worker has ended or cannot be reached: {reason}"));
        }
        Self::Unexpected(format!("libtorch: {reason}"))
    }
}

impl From<slipway_mlflow::Error> for Failure {
    fn from(error: slipway_mlflow::Error) -> Self {
        use slipway_mlflow::Error;

        match error {
            Error::Address { .. } | Error::Settings(_) | Error::Invalid { .. } => Self::Input(error.to_string()),
            Error::File { .. } => Self::Unexpected(error.to_string()),
            _ => Self::Service(error.to_string()),
        }
    }
}
