//! Why a worker stops, and the exit code that says so.

use slipway_names::exit;

/// Why a worker stops. Each message says what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
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
    /// The program was killed by a signal: exit code 128 and the signal's number.
    #[error("{message}")]
    Killed {
        /// The signal's number.
        signal: u8,
        /// What, where and what to do.
        message: String,
    },
    /// Anything else: exit code 1.
    #[error("{0}")]
    Unexpected(String),
}

impl Failure {
    /// The documented exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Unexpected(_) => exit::UNEXPECTED,
            Self::Input(_) => exit::INPUT,
            Self::Service(_) => exit::SERVICE,
            Self::Gate(_) => exit::GATE,
            Self::Peer(_) => exit::PEER,
            Self::Killed { signal, .. } => 128_u8.saturating_add(*signal),
        }
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

impl From<slipway_dataset::Error> for Failure {
    fn from(error: slipway_dataset::Error) -> Self {
        use slipway_dataset::Error;

        match error {
            error if error.is_unavailable() => Self::Service(error.to_string()),
            // the certificate may have been renewed when another pod starts
            Error::Tls { .. } => Self::Service(error.to_string()),
            // a full disk, for example: another node may have more room
            Error::File { .. } => Self::Unexpected(error.to_string()),
            error => Self::Input(error.to_string()),
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
