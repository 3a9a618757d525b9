//! Metrics on their way to MLflow: what was logged and not yet confirmed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use slipway_mlflow::{Client, Error, Metric, Run};
use tokio::sync::{Notify, watch};

/// What MLflow has of a training, and what it does not have yet: a part of its checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The run; `None` if it was not created yet.
    pub run_id: Option<String>,
    /// Metrics that MLflow has not confirmed, in their order. It may have some of them.
    #[serde(default, serialize_with = "write", deserialize_with = "read")]
    pub unsent: Vec<Metric>,
}

/// A view of what a [`Recorder`](crate::Recorder) has recorded. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RecordHandle {
    pub(crate) queue: Arc<Queue>,
    pub(crate) run: watch::Receiver<Option<Run>>,
    /// The run of an earlier attempt, which is to be continued.
    pub(crate) resumed: Option<String>,
}

impl RecordHandle {
    /// The record as it is now.
    #[must_use]
    pub fn record(&self) -> Record {
        // first: what is confirmed between the two is in the run, whose id is known by then
        let unsent = self.queue.lock().metrics.clone();
        let run_id = self.run.borrow().as_ref().map(|run| run.run_id.clone());
        Record { run_id: run_id.or_else(|| self.resumed.clone()), unsent }
    }
}

/// Metrics that wait to be sent.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    metrics: Vec<Metric>,
    /// No more will come.
    closed: bool,
}

impl Queue {
    pub(crate) fn push(&self, metrics: Vec<Metric>) {
        self.lock().metrics.extend(metrics);
        self.changed.notify_one();
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// What waits; `None` once nothing does and nothing more will come. It goes on waiting until it is [`confirmed`](Self::confirm).
    pub(crate) async fn next(&self) -> Option<Vec<Metric>> {
        loop {
            {
                let waiting = self.lock();
                if !waiting.metrics.is_empty() {
                    return Some(waiting.metrics.clone());
                }
                if waiting.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// The first `count` metrics are in MLflow.
    pub(crate) fn confirm(&self, count: usize) {
        self.lock().metrics.drain(..count);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last step of each metric that a run has: what an attempt that continues it need not log again.
#[derive(Debug, Default)]
pub(crate) struct Logged(HashMap<String, i64>);

impl Logged {
    /// Asks MLflow.
    pub(crate) async fn of(client: &Client, run: &Run) -> Result<Self, Error> {
        let mut logged = HashMap::new();
        for key in run.metrics.keys() {
            let points = client.metric_points(&run.run_id, key, 2).await?;
            logged.extend(points.iter().map(|point| point.step).max().map(|step| (key.clone(), step)));
        }
        Ok(Self(logged))
    }

    /// Whether the run has this metric. Metrics of a name are logged by step, so it has all before its last one.
    pub(crate) fn has(&self, metric: &Metric) -> bool {
        self.0.get(&metric.key).is_some_and(|last| metric.step <= *last)
    }
}

/// A metric with its value to the bit, which JSON does not promise.
type Exact = (String, u64, i64, i64);

fn write<S: Serializer>(metrics: &[Metric], to: S) -> Result<S::Ok, S::Error> {
    let exact = metrics.iter().map(|metric| (&metric.key, metric.value.to_bits(), metric.timestamp, metric.step));
    to.collect_seq(exact)
}

fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Metric>, D::Error> {
    let exact = Vec::<Exact>::deserialize(from)?;
    let metric = |(key, bits, timestamp, step)| Metric { key, value: f64::from_bits(bits), timestamp, step };
    Ok(exact.into_iter().map(metric).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(steps: std::ops::Range<i64>) -> Vec<Metric> {
        steps.map(|step| Metric::new("loss", 1.0 / (step as f64 + 3.0), step, step)).collect()
    }

    #[tokio::test]
    async fn what_is_not_confirmed_waits() {
        let queue = Queue::default();
        queue.push(losses(0..3));
        assert_eq!(queue.next().await, Some(losses(0..3)));
        queue.push(losses(3..5));
        queue.confirm(3);
        assert_eq!(queue.next().await, Some(losses(3..5)));
        queue.close();
        queue.confirm(2);
        assert_eq!(queue.next().await, None);
    }

    #[test]
    fn the_run_that_is_to_be_continued_is_not_forgotten() {
        let queue = Arc::new(Queue::default());
        queue.push(losses(0..3));
        let (_created, run) = watch::channel(None);
        let handle = RecordHandle { queue, run, resumed: Some("r".to_owned()) };
        assert_eq!(handle.record(), Record { run_id: Some("r".to_owned()), unsent: losses(0..3) });
    }

    #[test]
    fn a_record_is_read_back_to_the_bit() {
        let record = Record { run_id: Some("r".to_owned()), unsent: losses(0..50) };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn each_metric_has_a_last_step_of_its_own() {
        let logged = Logged(HashMap::from([("loss".to_owned(), 7)]));
        let has = |key, step| logged.has(&Metric::new(key, 0.0, 0, step));
        assert_eq!([has("loss", 7), has("loss", 8), has("accuracy", 0)], [true, false, false]);
    }
}
