//! Follows `models.yaml` by its content, which works both for an atomic rename and for the symbolic link of a mounted ConfigMap.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use slipway_serving::Pins;
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::models::Models;

/// How often the file is read, which takes some microseconds: a promotion is in service that much later.
const INTERVAL: Duration = Duration::from_millis(100);
/// The pause after a first failure.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause after failures.
const MAX_PAUSE: Duration = Duration::from_secs(8);

/// Whether the versions that the file lists are in service; `Err` with the reason while they are not.
pub type Readiness = Result<(), String>;

/// The file's text, or why it cannot be read.
type Text = Result<String, String>;

/// The file. Until it exists for the first time, it counts as an empty list. If it disappears later, that is an error, and nothing is
/// taken out of service.
struct File {
    path: PathBuf,
    seen: bool,
}

impl File {
    fn read(&mut self) -> Text {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => {
                self.seen = true;
                Ok(text)
            }
            Err(error) if error.kind() == ErrorKind::NotFound && self.seen => Err("it no longer exists".to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Pins::default().to_string()),
            Err(error) => Err(format!("it cannot be read: {error}")),
        }
    }

    /// Returns when the file's text is no longer `from`.
    async fn changed(&mut self, from: &Text) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            if self.read() != *from {
                return;
            }
        }
    }
}

/// A list that could not be served, and when it is tried again.
struct Failure {
    text: Text,
    reason: String,
    pause: Duration,
    since: Instant,
}

/// Follows the file forever. If a list cannot be served, the versions in service stay, the reason is logged, the failure is counted,
/// and the list is tried again after a growing pause. New content is tried at once.
pub async fn follow(path: PathBuf, models: Arc<Models>, metrics: Metrics, ready: watch::Sender<Readiness>) {
    let mut file = File { path, seen: false };
    let mut applied: Option<Text> = None;
    // Whether the last attempt is the one that set `applied`.
    let mut settled = false;
    let mut failure: Option<Failure> = None;
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let text = file.read();
        if settled && applied.as_ref() == Some(&text) {
            continue;
        }
        let before = failure.take_if(|failure| failure.text != text || failure.since.elapsed() >= failure.pause);
        if failure.is_some() {
            continue;
        }
        settled = false;
        // A registry that hangs must not delay new content of the file.
        let outcome = tokio::select! {
            outcome = apply(&text, &models) => outcome,
            () = file.changed(&text) => continue,
        };
        let Err(reason) = outcome else {
            publish(&models, &metrics);
            metrics.reloads.total.with_label_values(&["success"]).inc();
            metrics.reloads.last_successful.set(1);
            metrics.reloads.last_success.set(seconds_since_1970());
            let _ = ready.send_replace(Ok(()));
            applied = Some(text);
            settled = true;
            continue;
        };
        metrics.reloads.total.with_label_values(&["failure"]).inc();
        metrics.reloads.last_successful.set(0);
        let before = before.filter(|before| before.text == text);
        if before.as_ref().is_none_or(|before| before.reason != reason) {
            tracing::error!(event = "not_served", "{}: {reason}; the versions in service stay", file.path.display());
        }
        // Until the first list is in service the server is not ready; later the old list still answers.
        if applied.is_none() {
            let _ = ready.send_replace(Err(reason.clone()));
        }
        let pause = before.map_or(PAUSE, |before| (before.pause * 2).min(MAX_PAUSE));
        failure = Some(Failure { text, reason, pause, since: Instant::now() });
    }
}

/// Publishes what is in service now, as metrics and in the log.
fn publish(models: &Models, metrics: &Metrics) {
    metrics.in_service.reset();
    for loaded in models.in_service().values() {
        metrics.in_service.with_label_values(&[&loaded.name, &loaded.version, &loaded.digest.to_string()]).set(1);
        tracing::info!(event = "in_service", model = loaded.name, version = loaded.version, digest = %loaded.digest);
    }
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

async fn apply(text: &Text, models: &Models) -> Result<(), String> {
    models.serve(&Pins::parse("models.yaml", text.as_ref()?).map_err(|finding| finding.to_string())?).await
}
