//! MLflow's real server: SQLite beside it, artifacts on our S3.

use std::path::Path;

use crate::child::{Child, Launch};
use crate::{Credentials, Result, Supervisor, health, listening};

/// Runs MLflow's application in one process; its first lines say why.
const SCRIPT: &str = include_str!("mlflow_server.py");

/// Starts MLflow and returns it with its address once it has one; it does not answer yet.
pub(crate) async fn start(
    supervisor: &Supervisor,
    python: &Path,
    state: &Path,
    s3: (&str, &Credentials),
) -> Result<(Child, String)> {
    let (endpoint, credentials) = s3;
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
    let store = format!("sqlite:///{}", state.join("mlflow.db").display());
    let arguments = vec!["-c".into(), SCRIPT.into(), store.into(), "s3://mlflow".into()];
    let log = state.join("logs/mlflow.log");
    let launch = Launch { name: "MLflow", program: python, arguments, environment, folder: state, log };
    let mut child = Child::spawn(supervisor, launch)?;
    let url = listening::url("MLflow", &mut child, "mlflow").await?;
    Ok((child, url))
}

/// Returns once it answers.
pub(crate) async fn ready(child: &mut Child, url: &str) -> Result<()> {
    health::answers("MLflow", child, &format!("{url}/health")).await
}
