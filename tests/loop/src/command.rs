//! Commands of `slipway` in a clone.

use std::path::Path;
use std::process::Output;

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::process::Process;
use crate::programs::program;

/// Starts the loop, and returns it once it is ready, with what its `state.json` says: the addresses of its services.
pub async fn up(clone: &Path, log: &Path) -> Result<(Process, Value)> {
    let mut command = std::process::Command::new(program("slipway")?);
    command.arg("--repo").arg(clone).arg("up");
    let mut running = Process::start(&command, log)?;
    running.logs("press Ctrl-C").await?;
    let state = serde_json::from_slice(&std::fs::read(clone.join(".slipway/state.json"))?)?;
    Ok((running, state))
}

/// Runs a command that prints JSON.
pub async fn run(clone: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(program("slipway")?);
    Ok(command.arg("--repo").arg(clone).args(["-o", "json"]).args(arguments).output().await?)
}

/// Runs a command that must succeed, and returns its JSON.
pub async fn json(clone: &Path, arguments: &[&str]) -> Result<Value> {
    let done = run(clone, arguments).await?;
    ensure!(done.status.success(), "slipway {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr));
    Ok(serde_json::from_slice(&done.stdout)?)
}
