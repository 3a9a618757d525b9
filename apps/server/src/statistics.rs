//! What a model has answered, as the protocol's statistics extension counts it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The counts of one loaded version, from when it was loaded.
#[derive(Debug, Default)]
pub struct Statistics(Mutex<Counts>);

/// How often something happened, and how long it took together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// How often.
    pub count: u64,
    /// Nanoseconds.
    pub ns: u64,
}

/// All counts of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Milliseconds since 1970 of the last answer; 0 if there was none.
    pub last_inference: u64,
    /// Rows that were answered.
    pub inferences: u64,
    /// Calls of the model, each for one or several requests.
    pub executions: u64,
    /// Requests that were answered, from their arrival to their answer.
    pub success: Durations,
    /// Requests that were not.
    pub fail: Durations,
    /// Waiting for a worker.
    pub queue: Durations,
    /// Putting requests together as one batch.
    pub input: Durations,
    /// Inside the model.
    pub infer: Durations,
    /// Taking the answer to a batch apart.
    pub output: Durations,
    /// Calls by their number of rows.
    pub batches: BTreeMap<usize, Durations>,
}

impl Durations {
    /// Counts one more.
    pub fn add(&mut self, duration: Duration) {
        self.count += 1;
        self.ns += u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    }
}

impl Statistics {
    /// The counts now.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// Counts a call of the model for this many rows: how long each request waited, and how long putting them together, the model, and
    /// taking its answer apart took.
    pub fn executed(&self, rows: usize, waited: impl Iterator<Item = Duration>, [input, infer, output]: [Duration; 3]) {
        let mut counts = self.lock();
        counts.executions += 1;
        counts.inferences += rows as u64;
        for waited in waited {
            counts.queue.add(waited);
            counts.input.add(input);
            counts.infer.add(infer);
            counts.output.add(output);
        }
        counts.batches.entry(rows).or_default().add(infer);
    }

    /// Counts an answer or a refusal.
    pub fn answered(&self, successful: bool, took: Duration) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut counts = self.lock();
        if successful {
            counts.success.add(took);
            counts.last_inference = u64::try_from(now).unwrap_or(u64::MAX);
        } else {
            counts.fail.add(took);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
