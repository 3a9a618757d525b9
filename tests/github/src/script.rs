//! A script of `emulator/` as a child process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use slipway_loop::programs::given;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// Longer than it takes to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A running script. It ends with this value: by the end of its standard input, and by its process id.
#[derive(Debug)]
pub(crate) struct Script {
    _process: Child,
    _alive: ChildStdin,
}

impl Script {
    /// Starts it, and gives it a line; what it says when it is ready.
    pub(crate) async fn start<T: DeserializeOwned>(name: &str, line: &str) -> Result<(Self, T)> {
        let mut process = Command::new("node")
            .arg(path(name))
            .arg(packages()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("node is needed")?;
        let mut input = process.stdin.take().context("its standard input is a pipe")?;
        input.write_all(format!("{line}\n").as_bytes()).await?;
        let output = process.stdout.take().context("its standard output is a pipe")?;
        let said = timeout(START, BufReader::new(output).lines().next_line()).await;
        let said = said.with_context(|| format!("{name} does not start"))??;
        let ready = serde_json::from_str(&said.with_context(|| format!("{name} has ended"))?)?;
        Ok((Self { _process: process, _alive: input }, ready))
    }
}

/// The file of a script.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("emulator").join(name)
}

/// The folder in which `npm ci` was run.
pub(crate) fn packages() -> Result<PathBuf> {
    given("SLIPWAY_EMULATE")
}
