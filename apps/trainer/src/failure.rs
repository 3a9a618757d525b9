//! Why this program stops: for a reason of libtorch's, or for one that every worker of a job may have.

use slipway_names::exit;

/// Why a worker stops. Each message says what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The trial or the data are invalid.
    #[error("{0}")]
    Input(String),
    /// A number of the training is not one.
    #[error("{0}")]
    Gate(String),
    /// Another worker has ended or cannot be reached.
    #[error("{0}")]
    Peer(String),
    /// A later attempt of the job has begun, to which its run and its checkpoints belong.
    #[error("{0}")]
    Overtaken(String),
    /// Anything else.
    #[error("{0}")]
    Unexpected(String),
    /// What has nothing to do with training itself.
    #[error(transparent)]
    Job(#[from] slipway_job::Failure),
}

/// A result of this program.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// The documented exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Unexpected(_) => exit::UNEXPECTED,
            Self::Input(_) => exit::INPUT,
            Self::Gate(_) => exit::GATE,
            Self::Peer(_) | Self::Overtaken(_) => exit::PEER,
            Self::Job(failure) => failure.code(),
        }
    }
}

impl From<slipway_mlflow::Error> for Failure {
    fn from(error: slipway_mlflow::Error) -> Self {
        slipway_job::Failure::from(error).into()
    }
}

impl From<slipway_dataset::Error> for Failure {
    fn from(error: slipway_dataset::Error) -> Self {
        slipway_job::Failure::from(error).into()
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
            Error::Training { .. } | Error::Engine(_) | Error::Argument(_) => Self::Unexpected(error.to_string()),
        }
    }
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
        Self::Unexpected(format!("libtorch: {}", text.lines().next().unwrap_or_default()))
    }
}
