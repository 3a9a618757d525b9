//! Runs `slipway demo` as a child process: its report, its addresses and its end.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::programs::program;

/// Longer than any run takes, so that a hang becomes an error and does not block the suite.
const TIMEOUT: Duration = Duration::from_secs(300);

/// What `slipway demo -o json` prints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// One entry for each trial.
    pub trials: Vec<TrialReport>,
    /// The answer to the held-out digit.
    pub prediction: Prediction,
    /// Seconds by phase; `total` is one of the keys.
    pub seconds: serde_json::Map<String, serde_json::Value>,
}

/// One trained trial.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrialReport {
    /// The TrainJob's name.
    pub name: String,
    /// The point of the sweep.
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// Share of the 1,000 test digits that the model got right.
    pub accuracy: f64,
    /// Training throughput of all workers together.
    pub images_per_second: f64,
    /// Seconds from the job's start to its end.
    pub seconds: f64,
    /// The registered version; `None` if the trial did not pass its gate.
    pub version: Option<String>,
}

/// The served model's answer for a digit that it was not trained on.
#[derive(Debug, Deserialize)]
pub struct Prediction {
    /// The true digit.
    pub label: u8,
    /// The model's answer.
    pub answer: u8,
    /// Ten probabilities.
    pub probabilities: Vec<f64>,
}

/// The addresses of a running demo's services.
#[derive(Debug, Deserialize)]
pub struct Addresses {
    /// The S3 endpoint.
    pub s3: String,
    /// MLflow.
    pub mlflow: String,
    /// The model server.
    pub server: String,
    /// The training manager.
    pub manager: String,
    /// The demo page.
    pub page: String,
    /// What a client of Kubernetes needs to see the jobs.
    pub kubeconfig: PathBuf,
    /// The bare repository that pull requests go to.
    pub forge: PathBuf,
}

/// A demo that has run its loop and keeps its page open.
pub struct OpenDemo {
    child: Child,
    /// Kept open so that the demo can still write.
    _stdout: BufReader<ChildStdout>,
    /// The report that it printed.
    pub report: Report,
    /// The addresses of its services.
    pub addresses: Addresses,
}

fn command(clone: &Path) -> Result<Command> {
    let mut command = Command::new(program("slipway")?);
    command.arg("--repo").arg(clone).args(["-o", "json", "demo"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

/// Runs `slipway demo --exit` to its end.
pub async fn run_and_exit(clone: &Path) -> Result<Report> {
    let mut child = command(clone)?.arg("--exit").spawn()?;
    let mut text = String::new();
    let stdout = child.stdout.as_mut().context("stdout is piped")?;
    timeout(TIMEOUT, stdout.read_to_string(&mut text)).await.context("the demo did not end")??;
    let status = timeout(TIMEOUT, child.wait()).await.context("the demo did not end")??;
    ensure!(status.success(), "slipway demo --exit ended with {status}");
    serde_json::from_str(&text).with_context(|| format!("not one JSON object: {text}"))
}

/// Runs `slipway demo` until its report is printed; the page stays open.
pub async fn open(clone: &Path) -> Result<OpenDemo> {
    let mut child = command(clone)?.spawn()?;
    let mut stdout = BufReader::new(child.stdout.take().context("stdout is piped")?);
    let mut text = String::new();
    let report = loop {
        let read = timeout(TIMEOUT, stdout.read_line(&mut text)).await.context("the demo printed no report")??;
        if read == 0 {
            bail!("the demo ended ({}) before its report: {text}", child.wait().await?);
        }
        match serde_json::from_str(&text) {
            Ok(report) => break report,
            Err(error) if error.is_eof() => {}
            Err(error) => return Err(error).with_context(|| format!("not a report: {text}")),
        }
    };
    let state = state_file(clone)?;
    let addresses = serde_json::from_slice(&std::fs::read(&state)?)?;
    Ok(OpenDemo { child, _stdout: stdout, report, addresses })
}

fn state_file(clone: &Path) -> Result<PathBuf> {
    [".slipway/demo/state.json", ".slipway/state.json"]
        .into_iter()
        .map(|path| clone.join(path))
        .find(|path| path.exists())
        .context("no state.json in .slipway")
}

impl OpenDemo {
    /// Ends the demo with a signal and waits for it.
    pub async fn end(mut self, signal: Signal) -> Result<Addresses> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("it has ended already")?;
        kill_process(pid, signal)?;
        timeout(Duration::from_secs(30), self.child.wait()).await.context("the demo did not end")??;
        Ok(self.addresses)
    }
}
