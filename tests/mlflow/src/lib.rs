//! MLflow's real server, for tests of its clients. Needs SLIPWAY_PYTHON, which `make test` sets.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that panics has failed")]

mod accounts;

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slipway_mlflow::{Client, Run};
use tempfile::TempDir;

pub use accounts::Accounts;

/// How the embedded loop starts it.
const SCRIPT: &str = include_str!("../../../crates/embedded/src/mlflow_server.py");

/// Ends a program and what that starts, in the group that this shell leads, when standard input ends: however the test ends, it does.
/// And ends itself when the program does.
const SUPERVISOR: &str = r#"("$@" </dev/null; kill -KILL 0) & cat >/dev/null; kill -KILL 0"#;

/// Longer than a slow, busy machine takes to start it.
const START: Duration = Duration::from_secs(300);

/// A server that runs on loopback. It ends with this value.
#[derive(Debug)]
pub struct Mlflow {
    /// Its address, without a login.
    pub url: String,
    /// A client without a login.
    pub client: Client,
    group: Child,
    _folder: Option<TempDir>,
}

impl Mlflow {
    /// One without a login and with all of its files in a folder of its own.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = python(folder.path());
        command
            .args(["-c", SCRIPT])
            .arg(format!("sqlite:///{}/mlflow.db", folder.path().display()))
            .arg(folder.path().join("artifacts"));
        let mut mlflow = Self::supervise(&command, None, &folder.path().join("log")).await;
        mlflow._folder = Some(folder);
        mlflow
    }

    /// `mlflow server` with MLflow's own basic authentication, in the folder and with the variables of `command`, which is Python.
    pub async fn with_login(mut command: Command, log: &Path) -> Self {
        let port = free_port();
        command.args(["-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]).args([
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ]);
        Self::supervise(&command, Some(port), log).await
    }

    /// Without a port, the program takes one and says so.
    async fn supervise(command: &Command, port: Option<u16>, log: &Path) -> Self {
        let output = File::create(log).unwrap();
        let mut supervised = Command::new("sh");
        supervised.args(["-c", SUPERVISOR, "sh"]).arg(command.get_program()).args(command.get_args());
        supervised.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = command.get_current_dir() {
            supervised.current_dir(folder);
        }
        let mut group = supervised
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let said = || fs::read_to_string(log).unwrap_or_default();
        let begun = Instant::now();
        loop {
            assert!(group.try_wait().unwrap().is_none(), "MLflow has ended: {}", said());
            assert!(begun.elapsed() < START, "MLflow does not answer: {}", said());
            if let Some(port) = port.or_else(|| port_in(&said())) {
                let url = format!("http://127.0.0.1:{port}");
                let client = Client::new(&url).unwrap();
                if client.health().await.is_ok() {
                    return Self { url, client, group, _folder: None };
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Every run of an experiment.
    pub async fn runs(&self, experiment: &str) -> Vec<Run> {
        let experiment = self.client.get_experiment(experiment).await.unwrap().unwrap();
        self.client.search_runs(&[&experiment], "", &[]).await.unwrap()
    }

    /// The only run of an experiment.
    pub async fn run(&self, experiment: &str) -> Run {
        let runs = self.runs(experiment).await;
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.into_iter().next().unwrap()
    }

    /// How many versions a model has.
    pub async fn versions(&self, model: &str) -> usize {
        self.client.search_model_versions(model).await.unwrap().len()
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        drop(self.group.stdin.take());
        let _ = self.group.wait();
    }
}

/// Python with MLflow, in a folder, with what MLflow does beside its work switched off.
#[must_use]
pub fn python(folder: &Path) -> Command {
    let python = std::env::var_os("SLIPWAY_PYTHON").expect("SLIPWAY_PYTHON is not set; `make test` sets it");
    let mut command = Command::new(python);
    command
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// The port in the line `{"mlflow": "127.0.0.1:PORT"}` of a log.
fn port_in(log: &str) -> Option<u16> {
    let (address, _) = log.split_once("{\"mlflow\": \"127.0.0.1:")?.1.split_once('"')?;
    address.parse().ok()
}

/// A port that was free just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
