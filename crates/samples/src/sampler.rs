//! Takes requests into the sample, on the thread that answers them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use slipway_dataset::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::writer::{Counts, Writer};
use crate::{Error, Result, Sample};

/// The unit in which memory is counted, in bytes.
const UNIT: usize = 1 << 10;

/// What is sampled, and within which bounds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The share of the requests that are taken, from 0 to 1.
    pub share: f64,
    /// The most memory for samples that are not stored yet, in bytes.
    pub memory: usize,
    /// A file is written when its samples take so many bytes of memory, at most a quarter of it and 128 MiB,
    pub file: usize,
    /// or when its first one has waited for so long, or when its hour is over.
    pub age: Duration,
    /// The most rows of an hour, of each model.
    pub rows_per_hour: usize,
    /// Files of days longer ago are deleted; at least 1.
    pub days: u32,
    /// The name of this server in the names of files.
    pub replica: String,
}

/// Makes the rows of a request. It is called by the writer, so that the thread that answers does not wait for it.
pub type Rows = Box<dyn FnOnce() -> Vec<Sample> + Send>;

/// A request that was answered.
pub(crate) struct Taken {
    pub(crate) model: String,
    pub(crate) version: u64,
    pub(crate) time: i64,
    pub(crate) rows: Rows,
    pub(crate) memory: OwnedSemaphorePermit,
}

/// Takes requests into the sample, and never waits. Cheap to clone; clones share the memory.
#[derive(Clone)]
pub struct Sampler {
    share: f64,
    memory: Arc<Semaphore>,
    taken: mpsc::UnboundedSender<Taken>,
    counts: Arc<Counts>,
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler").field("share", &self.share).finish_non_exhaustive()
    }
}

/// The memory for a request that is taken. It is given back when this is dropped.
pub struct Place {
    sampler: Sampler,
    memory: OwnedSemaphorePermit,
}

impl Sampler {
    /// A sampler, and what writes its samples into this bucket while it runs.
    ///
    /// # Errors
    /// [`Error::Setting`] when the share is not from 0 to 1, or there are no days.
    pub fn new(store: Store, settings: Settings) -> Result<(Self, Writer)> {
        let Settings { share, memory, days, .. } = settings;
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::Setting {
                what: "the share of requests",
                value: share.to_string(),
                allowed: "from 0 to 1",
            });
        }
        if days == 0 {
            return Err(Error::Setting {
                what: "the retention in days",
                value: days.to_string(),
                allowed: "at least 1",
            });
        }
        let (taken, arriving) = mpsc::unbounded_channel();
        let counts = Arc::<Counts>::default();
        let memory = Arc::new(Semaphore::new((memory / UNIT).clamp(1, Semaphore::MAX_PERMITS)));
        let sampler = Self { share, memory, taken, counts: Arc::clone(&counts) };
        Ok((sampler, Writer::new(store, settings, counts, arriving)))
    }

    /// Decides by chance whether a request is taken whose inputs take so many bytes. `None` if it is not, or if there is no memory for it.
    #[must_use]
    pub fn draw(&self, bytes: usize) -> Option<Place> {
        // from 0 up to 1, without 1
        if fastrand::f64() >= self.share {
            return None;
        }
        let memory = self.reserve(bytes).or_else(|| {
            Counts::add(&self.counts.without_memory, 1);
            None
        })?;
        Some(Place { sampler: self.clone(), memory })
    }

    /// Counts a request that is left out because it only measures.
    pub fn leave_out(&self) {
        Counts::add(&self.counts.measuring, 1);
    }

    /// What came of the requests so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn reserve(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT).max(1)).ok()?;
        Arc::clone(&self.memory).try_acquire_many_owned(units).ok()
    }
}

impl Place {
    /// Takes the request, which was answered now by this version of a model. `bytes` is what its samples will take at most
    /// ([`Sample::bytes`]).
    pub fn fill(mut self, model: &str, version: u64, bytes: usize, rows: Rows) {
        let more = bytes.saturating_sub(self.memory.num_permits() * UNIT);
        if more > 0 {
            let Some(more) = self.sampler.reserve(more) else {
                Counts::add(&self.sampler.counts.without_memory, 1);
                return;
            };
            self.memory.merge(more);
        }
        Counts::add(&self.sampler.counts.requests, 1);
        let taken = Taken { model: model.to_owned(), version, time: now(), rows, memory: self.memory };
        // the writer has ended: so does the server
        let _ = self.sampler.taken.send(taken);
    }
}

/// The time in milliseconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
