//! Stores checkpoints on another thread, while training goes on. Rank 0 has one saver.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use slipway_checkpoint::{Attempt, Content, Error};
use slipway_job::{Record, RecordHandle};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::failure::{Failure, Result};
use crate::snapshot::{PARTS, Snapshot};
use crate::train::Keep;

/// How long one checkpoint may take. After that the next one is tried, since a store that is slow for one may be quick for another.
const LONGEST: Duration = Duration::from_secs(60);

/// Takes snapshots at intervals and when it is asked to, and gives them to the thread that stores them.
#[derive(Debug)]
pub(crate) struct Saver {
    shared: Arc<Shared>,
    record: Option<RecordHandle>,
    interval: Duration,
    last: Cell<Instant>,
}

/// Between the thread that trains, the one that stores, and whoever waits for a checkpoint.
#[derive(Debug)]
struct Shared {
    /// The newest snapshot that nobody has begun to store.
    waiting: Mutex<Option<Waiting>>,
    arrived: Notify,
    state: watch::Sender<State>,
}

#[derive(Debug)]
struct Waiting {
    /// Which of those that were taken, from 1.
    number: u64,
    snapshot: Snapshot,
    record: Option<Record>,
}

#[derive(Clone, Debug, Default)]
struct State {
    /// A checkpoint is wanted now.
    asked: bool,
    /// How many snapshots were taken, and which of them is dealt with: it is stored, or was tried, or a newer one has taken its place.
    taken: u64,
    settled: u64,
    /// Whether snapshots come.
    phase: Phase,
    /// Nothing is stored any more, also of what was taken.
    abandoned: bool,
    /// Another attempt has begun.
    overtaken: Option<String>,
}

/// A training, as far as it gives snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// It has not begun.
    #[default]
    Before,
    /// Each step may give one.
    Training,
    /// No more come.
    Over,
}

/// Asks for a checkpoint and waits for it, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Waiter(Arc<Shared>);

impl Saver {
    /// Starts to store what it will be given, at most one checkpoint in each interval. `record` says what MLflow has.
    pub(crate) fn start(
        runtime: &Handle,
        attempt: Attempt,
        interval: Duration,
        record: Option<RecordHandle>,
    ) -> Result<Self> {
        let shared =
            Arc::new(Shared { waiting: Mutex::default(), arrived: Notify::new(), state: watch::Sender::default() });
        let (runtime, storing) = (runtime.clone(), Arc::clone(&shared));
        std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || runtime.block_on(store(attempt, &storing)))
            .map_err(|error| Failure::Unexpected(format!("starting the thread for checkpoints: {error}")))?;
        Ok(Self { shared, record, interval, last: Cell::new(Instant::now()) })
    }

    /// For whoever waits for a checkpoint.
    pub(crate) fn waiter(&self) -> Waiter {
        Waiter(Arc::clone(&self.shared))
    }

    /// Training begins, so whoever asks for a checkpoint gets one of the next step.
    pub(crate) fn open(&self) {
        self.shared.state.send_modify(|state| state.phase = Phase::Training);
    }

    /// No more snapshots come: training is over, or has failed.
    pub(crate) fn close(&self) {
        self.shared.state.send_modify(|state| state.phase = Phase::Over);
        self.shared.arrived.notify_one();
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keep for Saver {
    fn is_due(&self) -> Result<bool> {
        let state = self.shared.state.borrow();
        if let Some(overtaken) = &state.overtaken {
            return Err(Failure::Overtaken(overtaken.clone()));
        }
        // one at a time: a slow store gets fewer
        let is_time = state.taken == state.settled && self.last.get().elapsed() >= self.interval;
        Ok(is_time || state.asked)
    }

    fn keep(&self, snapshot: Snapshot) {
        let record = self.record.as_ref().map(RecordHandle::record);
        // the only thread that takes any
        let number = self.shared.state.borrow().taken + 1;
        self.shared.waiting().replace(Waiting { number, snapshot, record });
        self.shared.state.send_modify(|state| {
            state.taken = number;
            state.asked = false;
        });
        self.shared.arrived.notify_one();
        self.last.set(Instant::now());
    }
}

impl Waiter {
    /// Asks for a checkpoint of the next step, and returns when it is stored, cannot be, or the time is up. If there is no next step, it is what was
    /// taken before.
    pub(crate) async fn store_now(&self, limit: Duration) {
        let mut taken = 0;
        self.0.state.send_modify(|state| {
            state.asked = state.phase == Phase::Training;
            taken = state.taken;
        });
        self.wait(limit, |state| {
            state.settled > taken || (state.phase != Phase::Training && state.settled == state.taken)
        })
        .await;
    }

    /// Returns when everything that was taken is stored, cannot be, or the time is up.
    ///
    /// # Errors
    /// [`Failure::Overtaken`] if another attempt has begun: run and checkpoints are that one's.
    pub(crate) async fn settle(&self, limit: Duration) -> Result<()> {
        self.wait(limit, |state| state.settled == state.taken).await;
        match &self.0.state.borrow().overtaken {
            Some(overtaken) => Err(Failure::Overtaken(overtaken.clone())),
            None => Ok(()),
        }
    }

    /// Stores nothing any more: the checkpoints are about to be removed.
    pub(crate) fn abandon(&self) {
        self.0.state.send_modify(|state| state.abandoned = true);
    }

    async fn wait(&self, limit: Duration, is_over: impl Fn(&State) -> bool) {
        let mut state = self.0.state.subscribe();
        let waited = tokio::time::timeout(limit, state.wait_for(|state| state.overtaken.is_some() || is_over(state)));
        if waited.await.is_err() {
            tracing::warn!(event = "checkpoint_missed", "the last checkpoint was not stored within {limit:?}");
        }
    }
}

/// Stores each snapshot that arrives; of several that wait, the newest. Returns when no more come, or what comes is not wanted.
async fn store(mut attempt: Attempt, shared: &Shared) {
    let mut state = shared.state.subscribe();
    tokio::select! {
        biased;
        _ = state.wait_for(|state| state.abandoned) => {}
        () = store_all(&mut attempt, shared) => {}
    }
}

async fn store_all(attempt: &mut Attempt, shared: &Shared) {
    loop {
        // first, because one may arrive before the end is seen
        let is_over = shared.state.borrow().phase == Phase::Over;
        let next = shared.waiting().take();
        let Some(Waiting { number, snapshot, record }) = next else {
            if is_over {
                return;
            }
            shared.arrived.notified().await;
            continue;
        };
        let (begun, name) = (Instant::now(), snapshot.name());
        let stored = match encoded(snapshot, record).await {
            Ok(contents) => publish(attempt, &name, contents).await,
            Err(reason) => Err(Problem::Other(reason)),
        };
        let mut overtaken = None;
        match &stored {
            Ok(()) => {
                tracing::info!(event = "checkpoint", name, seconds = begun.elapsed().as_secs_f64());
            }
            Err(Problem::Overtaken(reason)) => overtaken = Some(reason.clone()),
            Err(Problem::Other(reason)) => {
                tracing::warn!(
                    event = "checkpoint_failed",
                    name,
                    "training goes on, and the next one is tried: {reason}"
                );
            }
        }
        shared.state.send_modify(|state| {
            state.settled = number;
            state.overtaken.clone_from(&overtaken);
        });
        if overtaken.is_some() {
            return;
        }
        if stored.is_ok() {
            // nobody waits for this, and what is left of it is done the next time
            tokio::select! {
                () = attempt.tidy() => {}
                () = shared.arrived.notified() => {}
            }
        }
    }
}

enum Problem {
    Overtaken(String),
    Other(String),
}

async fn publish(attempt: &mut Attempt, name: &str, contents: Vec<(String, Content)>) -> Result<(), Problem> {
    match tokio::time::timeout(LONGEST, attempt.publish(name, contents)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error @ Error::Overtaken { .. })) => Err(Problem::Overtaken(error.to_string())),
        Ok(Err(error)) => Err(Problem::Other(error.to_string())),
        Err(_) => Err(Problem::Other(format!("the store did not take it within {LONGEST:?}"))),
    }
}

async fn encoded(snapshot: Snapshot, record: Option<Record>) -> Result<Vec<(String, Content)>, String> {
    let encoding = tokio::task::spawn_blocking(move || snapshot.encode(record));
    let parts = encoding.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let parts = PARTS.iter().zip(parts).filter(|(_, bytes)| !bytes.is_empty());
    Ok(parts.map(|(name, bytes)| ((*name).to_owned(), Content::Bytes(Bytes::from(bytes)))).collect())
}

#[cfg(test)]
mod tests {
    use slipway_c10d::OptimizerState;

    use super::*;
    use crate::snapshot::Position;

    fn saver() -> Saver {
        let shared =
            Arc::new(Shared { waiting: Mutex::default(), arrived: Notify::new(), state: watch::Sender::default() });
        Saver { shared, record: None, interval: Duration::from_secs(3600), last: Cell::new(Instant::now()) }
    }

    fn snapshot() -> Snapshot {
        let (position, optimizer) = (Position::default(), OptimizerState::default());
        Snapshot { position, parameters: Vec::new(), optimizer, best: None }
    }

    /// Nothing stores here, so whoever waited would wait for an hour.
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn nobody_waits_for_a_step_that_does_not_come() {
        let saver = saver();
        saver.waiter().store_now(LONG).await;
        assert!(!saver.is_due().unwrap(), "before the training");
        saver.open();
        let (waiter, mut state) = (saver.waiter(), saver.shared.state.subscribe());
        let waiting = tokio::spawn(async move { waiter.store_now(LONG).await });
        state.wait_for(|state| state.asked).await.unwrap();
        assert!(saver.is_due().unwrap());
        saver.keep(snapshot());
        assert!(!saver.is_due().unwrap(), "once is enough");
        saver.shared.state.send_modify(|state| state.settled = 1);
        waiting.await.unwrap();
        saver.close();
        saver.waiter().store_now(LONG).await;
        assert!(!saver.is_due().unwrap(), "after the training");
    }

    #[tokio::test]
    async fn another_attempt_that_has_begun_is_heard_of() {
        let saver = saver();
        saver.open();
        saver.keep(snapshot());
        saver.shared.state.send_modify(|state| {
            state.settled = 1;
            state.overtaken = Some("attempt 2 has begun".to_owned());
        });
        for failure in [saver.waiter().settle(LONG).await.unwrap_err(), saver.is_due().unwrap_err()] {
            assert!(matches!(failure, Failure::Overtaken(_)), "{failure}");
        }
    }
}
