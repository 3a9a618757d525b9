//! Reports progress from a separate thread. Training holds a lock only while it writes a number, and never waits for a report.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::progress::Progress;
use crate::status::StatusApi;
use crate::{Failure, Result};

/// The longest pause while reports fail.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The reporter of rank 0. A failure is logged once, and never fails the trial.
#[derive(Debug)]
pub struct Reporter {
    progress: Arc<Mutex<Progress>>,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Reporter {
    /// Starts reporting to the API that the environment names, at most once per `interval`. Does nothing if it names none. Each report
    /// changes the TrainJob, so everyone who watches the TrainJob is notified.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(interval: Duration) -> Result<Self> {
        let progress = Arc::default();
        let api = StatusApi::from_lookup(|name| std::env::var(name).ok()).unwrap_or_else(|reason| {
            tracing::warn!(event = "progress_not_reported", "{reason}");
            None
        });
        let thread = api.map(|api| spawn(api, interval, Arc::clone(&progress))).transpose();
        let thread = thread.map_err(|error| Failure::Unexpected(format!("starting the progress thread: {error}")))?;
        Ok(Self { progress, thread })
    }

    /// A reporter that nobody hears, for every other rank.
    #[must_use]
    pub fn silent() -> Self {
        Self { progress: Arc::default(), thread: None }
    }

    /// Whether anybody takes the reports.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.thread.is_some()
    }

    /// Applies a change to the progress.
    pub fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Reports that the trial is done. Returns within seconds, even if the report fails.
    pub fn conclude(mut self) {
        self.note(Progress::conclude);
        if let Some((wake, thread)) = self.thread.take() {
            let _ = wake.send(());
            let _ = thread.join();
        }
    }
}

fn spawn(
    mut api: StatusApi,
    interval: Duration,
    progress: Arc<Mutex<Progress>>,
) -> std::io::Result<(Sender<()>, JoinHandle<()>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (wake, woken) = channel();
    let thread = std::thread::Builder::new().name("progress".to_owned());
    let thread = thread.spawn(move || {
        let report = || {
            let now = progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
            runtime.block_on(api.report(&now))
        };
        repeat(report, interval, &woken);
    })?;
    Ok((wake, thread))
}

/// Reports repeatedly until the conclusion, which is reported too, or until the reporter is dropped.
fn repeat(mut report: impl FnMut() -> Result<(), String>, interval: Duration, woken: &Receiver<()>) {
    let mut pause = interval;
    let mut warned = false;
    let mut attempt = || match report() {
        Ok(()) => {
            if std::mem::take(&mut warned) {
                tracing::info!(event = "progress_reported", "progress is reported again");
            }
            interval
        }
        Err(reason) => {
            if !std::mem::replace(&mut warned, true) {
                tracing::warn!(
                    event = "progress_not_reported",
                    "{reason}; training continues, and reports are tried again"
                );
            }
            MAX_PAUSE.max(interval)
        }
    };
    loop {
        pause = attempt().min(pause * 2);
        match woken.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(()) => {
                attempt();
                return;
            }
        }
    }
}
