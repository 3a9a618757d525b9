//! Samples of requests on a real S3 endpoint.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod gate;
mod stored;
mod unreachable;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use slipway_dataset::{Credentials, Store};
use slipway_object_store::{KEYS, serve};
use slipway_samples::{BUCKET, Counts, Hour, Sample, Sampler, Settings, Writer};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// An endpoint over a new folder, and its address.
async fn endpoint() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(folder.path()).await;
    (folder, url)
}

fn store(url: &str) -> Store {
    let credentials = Credentials { access_key: KEYS.0.to_owned(), secret_key: KEYS.1.to_owned(), session_token: None };
    Store::new(url, "datasets", credentials, "us-east-1").unwrap().beside(BUCKET)
}

/// Everything is sampled, and nothing is written before the end.
fn settings() -> Settings {
    Settings {
        share: 1.0,
        memory: 1 << 20,
        file: 1 << 30,
        age: Duration::from_secs(3600),
        rows_per_hour: usize::MAX,
        days: 7,
        replica: "server-0".to_owned(),
    }
}

/// A writer that runs.
struct Running {
    end: oneshot::Sender<()>,
    writer: oneshot::Receiver<()>,
}

impl Running {
    fn start(writer: Writer) -> Self {
        let (end, ended) = oneshot::channel::<()>();
        let writer = writer.start(async { drop(ended.await) }).unwrap();
        Self { end, writer }
    }

    /// Ends it, when it has written what is left.
    async fn end(self) {
        self.end.send(()).unwrap();
        self.writer.await.unwrap();
    }
}

/// The rows of a request.
fn rows(id: &str, count: u32) -> Vec<Sample> {
    (0..count).map(|row| Sample::new(now(), id, row, 3, vec![row as f32; 8], vec![0.25, 0.75])).collect()
}

/// Takes a request; `false` if it was left out.
fn take(sampler: &Sampler, model: &str, id: &str, count: u32) -> bool {
    let rows = rows(id, count);
    let bytes: usize = rows.iter().map(Sample::bytes).sum();
    let Some(place) = sampler.draw(bytes) else { return false };
    place.fill(model, 3, bytes, Box::new(move || rows));
    true
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// From an hour ago until in an hour.
fn hours() -> (Hour, Hour) {
    let hour = Hour::of(now());
    (hour.after(-1), hour.after(1))
}

fn count(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// Waits until a count has reached this.
async fn until(sampler: &Sampler, of: impl Fn(&Counts) -> &AtomicU64, at_least: u64) {
    let reached = async {
        while count(of(sampler.counts())) < at_least {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.unwrap();
}
