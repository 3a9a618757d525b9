//! MLflow's real server, for tests of its clients. Needs SLIPWAY_PYTHON, which `make test` sets.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that panics has failed")]

mod accounts;

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
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
    /// How [`Mlflow::start`] and [`Mlflow::on_s3`] started it, but for the port.
    again: Option<(Command, TempDir)>,
}

impl Mlflow {
    /// One without a login and with all of its files in a folder of its own.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = python(folder.path());
        let artifacts = folder.path().join("artifacts");
        Self::start_with(command, folder, &artifacts.display().to_string()).await
    }

    /// The same with its artifacts in the bucket `mlflow` of an S3 endpoint, as in the embedded loop. `keys` are the access key and its secret.
    pub async fn on_s3(endpoint: &str, keys: (&str, &str)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = python(folder.path());
        command
            .env("MLFLOW_S3_ENDPOINT_URL", endpoint)
            .env("AWS_ACCESS_KEY_ID", keys.0)
            .env("AWS_SECRET_ACCESS_KEY", keys.1)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
            .env("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
            .env("NO_PROXY", "127.0.0.1");
        Self::start_with(command, folder, "s3://mlflow").await
    }

    async fn start_with(mut command: Command, folder: TempDir, artifacts: &str) -> Self {
        let store = format!("sqlite:///{}/mlflow.db", folder.path().display());
        command.args(["-c", SCRIPT, &store, artifacts]);
        let mut mlflow = Self::supervise(&command, None, &["0"], &folder.path().join("log")).await;
        mlflow.again = Some((command, folder));
        mlflow
    }

    /// Kills it, as a lack of memory does. Its address is free afterwards.
    pub fn kill(&mut self) {
        drop(self.group.stdin.take());
        let _ = self.group.wait();
        // the shell may be gone before the server is
        while TcpStream::connect(self.url.trim_start_matches("http://")).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts it again after a kill, at the same address and with what it has stored. Returns once it answers.
    ///
    /// # Panics
    /// If it was not started without a login.
    pub async fn start_again(&mut self) {
        let (command, folder) = self.again.as_ref().expect("only a server without a login is started again");
        let port: u16 = self.url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap();
        let log = folder.path().join("log");
        let mut again = Self::supervise(command, Some(port), &[&port.to_string()], &log).await;
        std::mem::swap(&mut self.group, &mut again.group);
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
        Self::supervise(&command, Some(port), &[], log).await
    }

    /// Starts the command with `more` arguments. Without a port, the program takes one and says so.
    async fn supervise(command: &Command, port: Option<u16>, more: &[&str], log: &Path) -> Self {
        let output = File::create(log).unwrap();
        let mut supervised = Command::new("sh");
        supervised.args(["-c", SUPERVISOR, "sh"]).arg(command.get_program()).args(command.get_args()).args(more);
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
                    return Self { url, client, group, again: None };
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
