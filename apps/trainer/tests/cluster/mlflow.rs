//! MLflow's real server, with everything in one folder.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use slipway_mlflow::{Client, Run};
use tempfile::TempDir;

/// How the embedded loop starts it.
const SCRIPT: &str = include_str!("../../../../crates/embedded/src/mlflow_server.py");

pub(crate) struct Mlflow {
    child: Child,
    pub(crate) url: String,
    pub(crate) client: Client,
    _folder: TempDir,
}

impl Mlflow {
    pub(crate) async fn start() -> Self {
        let python = std::env::var_os("SLIPWAY_PYTHON").map(PathBuf::from);
        let python = python.expect("SLIPWAY_PYTHON is not set; `make test` sets it");
        let folder = tempfile::tempdir().unwrap();
        let port = crate::worker::free_port();
        let child = Command::new(python)
            .args(["-c", SCRIPT, &port.to_string()])
            .arg(format!("sqlite:///{}/mlflow.db", folder.path().display()))
            .arg(folder.path().join("artifacts"))
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let client = Client::new(&url).unwrap();
        let mlflow = Self { child, url, client, _folder: folder };
        mlflow.client.wait_until_healthy(Duration::from_secs(120)).await.unwrap();
        mlflow
    }

    /// The only run of an experiment.
    pub(crate) async fn run(&self, experiment: &str) -> Run {
        let runs = self.runs(experiment).await;
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.into_iter().next().unwrap()
    }

    /// Every run of an experiment.
    pub(crate) async fn runs(&self, experiment: &str) -> Vec<Run> {
        let experiment = self.client.get_experiment(experiment).await.unwrap().unwrap();
        self.client.search_runs(&[&experiment], "", &[]).await.unwrap()
    }

    /// How many versions a model has.
    pub(crate) async fn versions(&self, model: &str) -> usize {
        self.client.search_model_versions(model).await.unwrap().len()
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
