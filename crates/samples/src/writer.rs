//! Writes samples into files, and deletes old ones.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use slipway_dataset::Store;
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use crate::encode::encode;
use crate::file::replica;
use crate::pending::{Group, Held, Pending};
use crate::sampler::{Settings, Taken, now};
use crate::{File, Hour, Reader, Result};

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(200);
/// The pause after a first failure to write.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The most memory of the samples of a file, in bytes, before one more request is added: whoever reads files reads one of that size, which has at most half
/// of the numbers and two thirds of the rows that are read of one.
const LARGEST_FILE: usize = 128 << 20;
/// How often old files are deleted.
const DELETING: Duration = Duration::from_secs(3600);

/// What came of the requests so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests that were taken.
    pub requests: AtomicU64,
    /// Requests that were drawn, but left out because the memory was full.
    pub without_memory: AtomicU64,
    /// Requests that were not drawn, because they only measure.
    pub measuring: AtomicU64,
    /// Rows that were left out because their hour had as many as it may.
    pub beyond_hour: AtomicU64,
    /// Rows that are stored.
    pub rows: AtomicU64,
    /// Files that are stored.
    pub files: AtomicU64,
    /// Attempts to store a file that failed.
    pub failures: AtomicU64,
    /// Rows that were taken and are lost: they could not be made a file, or not be stored before the end.
    pub lost: AtomicU64,
    /// Files that were deleted because they were old.
    pub deleted: AtomicU64,
}

impl Counts {
    pub(crate) fn add(count: &AtomicU64, more: u64) {
        count.fetch_add(more, Ordering::Relaxed);
    }
}

/// Writes samples into files while it runs, and deletes old ones.
pub struct Writer {
    reader: Reader,
    settings: Settings,
    counts: Arc<Counts>,
    arriving: mpsc::UnboundedReceiver<Taken>,
    pending: Pending,
    /// Files that could not be stored yet.
    unsent: VecDeque<Unsent>,
    has_bucket: bool,
    pause: Option<(Instant, Duration)>,
    said: Option<String>,
}

/// A file that is to be stored.
struct Unsent {
    key: String,
    bytes: Bytes,
    rows: u64,
    /// What its samples took, until it is stored.
    _memory: OwnedSemaphorePermit,
}

impl Writer {
    pub(crate) fn new(
        store: Store,
        mut settings: Settings,
        counts: Arc<Counts>,
        arriving: mpsc::UnboundedReceiver<Taken>,
    ) -> Self {
        settings.replica = replica(&settings.replica);
        // what is written waits in the same memory, and so does what arrives meanwhile
        settings.file = settings.file.min(settings.memory / 4).min(LARGEST_FILE);
        Self {
            reader: Reader::new(store),
            settings,
            counts,
            arriving,
            pending: Pending::default(),
            unsent: VecDeque::new(),
            has_bucket: false,
            pause: None,
            said: None,
        }
    }

    /// Runs in a thread of its own until `ended`, then writes what is left, and says that it has. While the store cannot be reached, samples wait in
    /// their memory, and new ones are left out when that is full. What cannot be stored at the end is lost, which the log says.
    ///
    /// A task cannot do it: the compiler cannot show that what a store borrows between two tries may change threads. The thread has a runtime of
    /// its own, because that of a server ends when nobody waits for the last samples any more.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(self, ended: impl Future<Output = ()> + Send + 'static) -> io::Result<oneshot::Receiver<()>> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (written, writing) = oneshot::channel();
        let write = move || {
            runtime.block_on(self.run(ended));
            // nobody may wait for it
            let _ = written.send(());
        };
        std::thread::Builder::new().name("samples".to_owned()).spawn(write)?;
        Ok(writing)
    }

    async fn run(mut self, ended: impl Future<Output = ()>) {
        let mut ended = std::pin::pin!(ended);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deleting = tokio::time::interval(DELETING);
        loop {
            tokio::select! {
                () = &mut ended => break,
                Some(taken) = self.arriving.recv() => self.take(taken),
                _ = tick.tick() => self.write(self.settings.age, Hour::of(now())).await,
                _ = deleting.tick() => self.delete().await,
            }
        }
        self.arriving.close();
        while let Ok(taken) = self.arriving.try_recv() {
            self.take(taken);
        }
        self.pause = None;
        self.write(Duration::ZERO, Hour::of(now())).await;
        let lost: u64 = self.unsent.iter().map(|file| file.rows).sum();
        if lost > 0 {
            self.lose(lost, "the last samples of requests could not be stored");
        }
    }

    fn take(&mut self, taken: Taken) {
        let Taken { model, version, time, rows, memory } = taken;
        let group = Group { model, version, hour: Hour::of(time) };
        let beyond = self.pending.add(group, rows(), memory, self.settings.rows_per_hour);
        Counts::add(&self.counts.beyond_hour, beyond as u64);
    }

    /// Writes what could not be stored before, and then the groups that are due at this age.
    async fn write(&mut self, age: Duration, hour: Hour) {
        if self.pause.is_some_and(|(until, _)| Instant::now() < until) {
            return;
        }
        loop {
            if self.unsent.is_empty() {
                let Some((group, held)) = self.pending.due(age, self.settings.file, hour) else { return };
                self.prepare(group, held).await;
            }
            let Some(file) = self.unsent.front() else { continue };
            if let Err(error) = self.store(&file.key, file.bytes.clone()).await {
                self.failed(&error.to_string());
                return;
            }
            self.has_bucket = true;
            (self.pause, self.said) = (None, None);
            if let Some(file) = self.unsent.pop_front() {
                Counts::add(&self.counts.rows, file.rows);
                Counts::add(&self.counts.files, 1);
            }
        }
    }

    /// Makes a file of a group.
    async fn prepare(&mut self, group: Group, held: Held) {
        let Group { model, version, hour } = group;
        let Held { samples, memory, .. } = held;
        let (replica, unique) = (self.settings.replica.clone(), format!("{:08x}", fastrand::u32(..)));
        let first = samples.iter().map(|sample| sample.time).min().unwrap_or_else(|| hour.begin());
        let file = File { model, version, hour, first, replica, unique, bytes: 0 };
        let rows = samples.len() as u64;
        let encoded = tokio::task::spawn_blocking(move || encode(&samples)).await;
        match encoded {
            Ok(Ok(bytes)) => {
                self.unsent.push_back(Unsent { key: file.key(), bytes: bytes.into(), rows, _memory: memory });
            }
            // another attempt would come to the same
            Ok(Err(error)) => self.lose(rows, &error.to_string()),
            Err(error) => self.lose(rows, &error.to_string()),
        }
    }

    /// Counts rows that nobody will see, and says so.
    fn lose(&self, rows: u64, reason: &str) {
        Counts::add(&self.counts.lost, rows);
        tracing::error!(event = "samples_lost", rows, "{reason}");
    }

    async fn store(&self, key: &str, bytes: Bytes) -> Result<()> {
        let store = self.reader.store();
        if !self.has_bucket {
            store.ensure_bucket().await?;
        }
        Ok(store.write_own(key, bytes, "application/vnd.apache.parquet").await?)
    }

    /// Says a reason once, and waits longer each time.
    fn failed(&mut self, reason: &str) {
        Counts::add(&self.counts.failures, 1);
        let pause = self.pause.map_or(PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
        self.pause = Some((Instant::now() + pause, pause));
        self.has_bucket = false;
        self.say(reason);
    }

    fn say(&mut self, reason: &str) {
        if self.said.as_deref() != Some(reason) {
            tracing::warn!(event = "samples_not_stored", "samples of requests wait: {reason}");
            self.said = Some(reason.to_owned());
        }
    }

    async fn delete(&mut self) {
        let before = Hour::of(now()).after(-24 * i64::from(self.settings.days));
        match self.reader.delete_before(before).await {
            Ok(deleted) => Counts::add(&self.counts.deleted, deleted),
            Err(error) => tracing::warn!(event = "samples_not_deleted", "old samples of requests stay: {error}"),
        }
    }
}
