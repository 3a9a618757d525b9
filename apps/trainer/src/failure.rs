//! Why a worker stops, and the exit code that says so.

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
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Unexpected(_) => 1,
            Self::Input(_) => 3,
            Self::Service(_) => 6,
            Self::Gate(_) => 7,
            Self::Peer(_) => 8,
        }
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
            Error::Reducer { .. } | Error::Optimizer { .. } | Error::Engine(_) | Error::Argument(_) => {
                Self::Unexpected(error.to_string())
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a cluster makes of each failure, by the rules of its runtime.
    #[test]
    fn a_cluster_restarts_what_another_attempt_may_mend() {
        let runtime = include_str!("../../../base/trainer-runtime/runtime.yaml");
        assert!(runtime.contains("\"exit code (2|3|7) \"") && runtime.contains("values: [2, 3, 7, 143]"));
        let is_hopeless = |failure: &Failure| [2, 3, 7].contains(&failure.code());

        let refused = |status| slipway_mlflow::Error::Refused {
            method: "POST".to_owned(),
            url: "http://mlflow".to_owned(),
            status,
            code: "PERMISSION_DENIED".to_owned(),
            message: "no".to_owned(),
        };
        let store = |stale_credentials| slipway_dataset::Error::Refused {
            endpoint: "http://minio".to_owned(),
            action: "read",
            uri: "s3://datasets".to_owned(),
            reason: "HTTP 403".to_owned(),
            stale_credentials,
        };
        let full_disk = slipway_dataset::Error::File {
            action: "write",
            path: "/cache/x".into(),
            reason: "No space left on device".to_owned(),
        };
        // MLflow's password and the store's key may have been rotated since this pod started; another node may have more room
        for failure in [refused(401).into(), refused(403).into(), store(true).into(), full_disk.into()] {
            assert!(!is_hopeless(&failure), "{failure:?}");
        }
        let no_address = slipway_mlflow::Error::Address { uri: String::new(), reason: "it is not set".to_owned() };
        let unset = slipway_dataset::Error::Configuration("AWS_REGION".to_owned());
        for failure in [no_address.into(), unset.into(), store(false).into(), Failure::Gate("NaN".to_owned())] {
            assert!(is_hopeless(&failure), "{failure:?}");
        }
    }
}
