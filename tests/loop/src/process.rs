//! Programs that a test runs beside itself, each under `slipway supervise`: they end with the test, even if it is killed.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::programs::program;

/// Longer than any program takes to start.
const START: Duration = Duration::from_secs(120);

/// A running program and its log. It is ended when this is dropped.
#[derive(Debug)]
pub struct Process {
    supervisor: Child,
    /// The supervisor ends the program when this is closed.
    alive: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts a command, with its arguments, variables and folder; what it prints goes to `log`.
    pub fn start(command: &Command, log: &Path) -> Result<Self> {
        let mut supervised = Command::new(program("slipway")?);
        supervised.arg("supervise").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => supervised.env(name, value),
                None => supervised.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            supervised.current_dir(folder);
        }
        let output = File::create(log)?;
        let mut supervisor = supervised
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        let alive = supervisor.stdin.take();
        Ok(Self { supervisor, alive, log: log.to_owned() })
    }

    /// Waits until `url` answers with success.
    pub async fn answers(&mut self, url: &str) -> Result<()> {
        let client = slipway_http::loopback(Duration::from_secs(5))?;
        self.until(url, async || client.get(url).send().await.is_ok_and(|answer| answer.status().is_success())).await
    }

    /// Waits until a line with `text` is logged; returns the line.
    pub async fn logs(&mut self, text: &str) -> Result<String> {
        let log = self.log.clone();
        let line = || std::fs::read_to_string(&log).ok()?.lines().find(|line| line.contains(text)).map(str::to_owned);
        self.until(text, async || line().is_some()).await?;
        line().context("it was there just now")
    }

    async fn until(&mut self, what: &str, reached: impl AsyncFn() -> bool) -> Result<()> {
        let begun = Instant::now();
        while !reached().await {
            if let Some(status) = self.supervisor.try_wait()? {
                bail!("it ended ({status}) before {what}: {}", self.log());
            }
            if begun.elapsed() > START {
                bail!("no {what} within {} s: {}", START.as_secs(), self.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Everything that it has printed.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.alive = None;
        let _ = self.supervisor.wait();
    }
}

/// A port that was free just now.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
