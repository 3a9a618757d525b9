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
    /// No more snapshots come.
    closed: bool,
    /// Another attempt has begun.
    overtaken: Option<String>,
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

    /// No more snapshots come: training is over, or has failed.
    pub(crate) fn close(&self) {
        self.shared.state.send_modify(|state| state.closed = true);
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
        Ok(is_time || (state.asked && !state.closed))
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
    /// Asks for a checkpoint of the next step, and returns when it is stored, cannot be, or the time is up.
    pub(crate) async fn store_now(&self, limit: Duration) {
        let mut taken = 0;
        self.0.state.send_modify(|state| {
            state.asked = !state.closed;
            taken = state.taken;
        });
        self.wait(limit, |state| state.settled > taken || (state.closed && state.settled == state.taken)).await;
    }

    /// Returns when everything that was taken is stored, cannot be, or the time is up.
    pub(crate) async fn settle(&self, limit: Duration) {
        self.wait(limit, |state| state.settled == state.taken).await;
    }

    async fn wait(&self, limit: Duration, is_over: impl Fn(&State) -> bool) {
        let mut state = self.0.state.subscribe();
        let waited = tokio::time::timeout(limit, state.wait_for(|state| state.overtaken.is_some() || is_over(state)));
        if waited.await.is_err() {
            tracing::warn!(event = "checkpoint_missed", "the last checkpoint was not stored within {limit:?}");
        }
    }
}

/// Stores each snapshot that arrives; of several that wait, the newest. Returns when no more come.
async fn store(mut attempt: Attempt, shared: &Shared) {
    loop {
        let next = shared.waiting().take();
        let Some(Waiting { number, snapshot, record }) = next else {
            if shared.state.borrow().closed {
                return;
            }
            shared.arrived.notified().await;
            continue;
        };
        let (begun, name) = (Instant::now(), snapshot.name());
        let stored = match encoded(snapshot, record).await {
            Ok(contents) => attempt.publish(&name, contents).await.map_err(Problem::Store),
            Err(reason) => Err(Problem::Encode(reason)),
        };
        let mut overtaken = None;
        match stored {
            Ok(()) => {
                tracing::info!(event = "checkpoint", name, seconds = begun.elapsed().as_secs_f64());
            }
            Err(Problem::Store(error @ Error::Overtaken { .. })) => overtaken = Some(error.to_string()),
            Err(Problem::Store(error)) => {
                tracing::warn!(
                    event = "checkpoint_failed",
                    name,
                    "training goes on, and the next one is tried: {error}"
                );
            }
            Err(Problem::Encode(reason)) => tracing::warn!(event = "checkpoint_failed", name, "{reason}"),
        }
        shared.state.send_modify(|state| {
            state.settled = number;
            state.overtaken.clone_from(&overtaken);
        });
        if overtaken.is_some() {
            return;
        }
    }
}

enum Problem {
    Store(Error),
    Encode(String),
}

async fn encoded(snapshot: Snapshot, record: Option<Record>) -> Result<Vec<(String, Content)>, String> {
    let encoding = tokio::task::spawn_blocking(move || snapshot.encode(record));
    let parts = encoding.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let parts = PARTS.iter().zip(parts).filter(|(_, bytes)| !bytes.is_empty());
    Ok(parts.map(|(name, bytes)| ((*name).to_owned(), Content::Bytes(Bytes::from(bytes)))).collect())
}
