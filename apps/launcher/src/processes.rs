//! Runs the program, and later the check of its model, until it ends or this worker is stopped. Nothing of it is left afterwards.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slipway_job::{Failure, Result};
use slipway_processes::{Family, Signal, signal_group};
use tokio::sync::{Mutex, watch};

use crate::relay::Relay;

/// How a program ended by itself.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) ran: Duration,
    /// The end of its standard error.
    pub(crate) errors: String,
    /// How many processes it had left behind could not be ended.
    pub(crate) immortal: usize,
}

/// Runs one program at a time, and stops it on request. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Processes {
    family: Arc<Mutex<Family>>,
    stop: watch::Sender<bool>,
    /// How long a program may take to end after SIGTERM.
    grace: Duration,
}

impl Processes {
    /// Must be called within a runtime of tokio.
    pub(crate) fn new(grace: Duration) -> Result<Self> {
        let family = Family::adopt()
            .map_err(|error| Failure::Unexpected(format!("cannot take charge of processes: {error}")))?;
        Ok(Self { family: Arc::new(Mutex::new(family)), stop: watch::Sender::new(false), grace })
    }

    /// Stops what runs, and lets nothing start any more. Returns once everything is gone.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.family.lock().await.end().await;
    }

    /// Runs a program to its end, and then ends whatever it has left behind; `None` if it does not end within the limit. If this worker
    /// is stopped, the program gets SIGTERM, after the grace period SIGKILL, and this never returns, because the process exits.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) async fn run(&self, command: &mut Command, limit: Option<Duration>) -> Result<Option<Ended>> {
        let mut family = self.family.lock().await;
        let mut stop = self.stop.subscribe();
        if *stop.borrow_and_update() {
            drop(family);
            return std::future::pending().await;
        }
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |error: std::io::Error| Failure::Input(format!("cannot start `{name}`: {error}"));
        let begun = Instant::now();
        // so that SIGTERM reaches what it has started, too
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (pid, mut child) = family.spawn(command).map_err(failed)?;
        let unexpected = |error: std::io::Error| Failure::Unexpected(format!("watching `{name}`: {error}"));
        let output =
            child.stdout.take().map(|from| Relay::start(from, std::io::stdout())).transpose().map_err(unexpected)?;
        let errors =
            child.stderr.take().map(|from| Relay::start(from, std::io::stderr())).transpose().map_err(unexpected)?;
        let status = tokio::select! {
            status = family.wait(pid) => status.map_err(unexpected)?,
            _ = stop.changed() => {
                tracing::info!(event = "stopping_program", "it gets SIGTERM, and SIGKILL after {} s", self.grace.as_secs());
                signal_group(pid, Signal::TERM);
                if tokio::time::timeout(self.grace, family.wait(pid)).await.is_err() {
                    tracing::warn!(event = "program_killed", "`{name}` did not end within {} s after SIGTERM", self.grace.as_secs());
                }
                family.end().await;
                drop(family);
                return std::future::pending().await;
            }
            () = passed(limit) => {
                family.end().await;
                return Ok(None);
            }
        };
        let ran = begun.elapsed();
        let immortal = family.end().await;
        drop(family);
        if let Some(output) = output {
            output.end();
        }
        let errors = errors.map(Relay::end).unwrap_or_default();
        Ok(Some(Ended { status, ran, errors, immortal }))
    }
}

/// Returns when the time is up; never without a limit.
async fn passed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
