//! MLflow's real server: SQLite beside it, artifacts on our S3.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::child::{Child, Launch};
use crate::{Credentials, Result, Supervisor, health, listening};

/// Runs MLflow's application in one process; its first lines say why.
const SCRIPT: &str = include_str!("mlflow_server.py");

/// MLflow as it is started, for the first time or again.
pub(crate) struct Mlflow {
    supervisor: Supervisor,
    python: PathBuf,
    /// The loop's state folder.
    state: PathBuf,
    environment: Vec<(String, String)>,
}

impl Mlflow {
    pub(crate) fn new(
        supervisor: &Supervisor,
        python: &Path,
        state: &Path,
        (endpoint, credentials): (&str, &Credentials),
    ) -> Self {
        let mut environment = credentials.environment(endpoint);
        environment.extend(
            [
                ("MLFLOW_S3_ENDPOINT_URL", endpoint),
                // The SDK's newer default sends checksums as trailers, which not every S3 takes.
                ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
                ("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"),
                ("MLFLOW_DISABLE_TELEMETRY", "true"),
                ("DO_NOT_TRACK", "true"),
                ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
                ("NO_PROXY", "127.0.0.1,localhost"),
                ("PYTHONUNBUFFERED", "1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        Self { supervisor: supervisor.clone(), python: python.to_owned(), state: state.to_owned(), environment }
    }

    /// Starts it and returns it with its address once it has one; it does not answer yet.
    pub(crate) async fn start(&self) -> Result<(Child, String)> {
        let mut child = self.start_at("0")?;
        let url = listening::url("MLflow", &mut child, "mlflow").await?;
        Ok((child, url))
    }

    /// Starts it again, where others ask for it and with what it has stored. Whoever asks waits until it answers.
    pub(crate) fn start_again(&self, url: &str) -> Result<Child> {
        self.start_at(url.rsplit(':').next().unwrap_or_default())
    }

    fn start_at(&self, port: &str) -> Result<Child> {
        let store = format!("sqlite:///{}", self.state.join("mlflow.db").display());
        let launch = Launch {
            name: "MLflow",
            program: &self.python,
            arguments: ["-c", SCRIPT, &store, "s3://mlflow", port].map(OsString::from).to_vec(),
            environment: self.environment.clone(),
            folder: &self.state,
            log: self.state.join("logs/mlflow.log"),
        };
        Child::spawn(&self.supervisor, launch)
    }
}

/// Returns once it answers.
pub(crate) async fn ready(child: &mut Child, url: &str) -> Result<()> {
    health::answers("MLflow", child, &format!("{url}/health")).await
}
