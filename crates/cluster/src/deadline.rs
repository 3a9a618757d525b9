//! Waiting for the API server, and for what it shows, no longer than was allowed.

use std::pin::pin;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::{Stream, StreamExt as _};
use kube::runtime::watcher::ExponentialBackoff;
use tokio::time::Instant;

use crate::error::{Error, Result};

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    /// From now until `limit` has passed.
    pub fn after(limit: Duration) -> Self {
        Self { start: Instant::now(), limit }
    }

    fn has_passed(self) -> bool {
        self.start.elapsed() >= self.limit
    }

    fn error(self, waiting: Vec<String>) -> Error {
        Error::Timeout { after: self.limit, waiting }
    }

    /// Makes a request until it succeeds. An API server that is away or busy for a moment is waited for.
    ///
    /// # Errors
    /// At once with an error that will not pass by itself; when time is up, with the last of those that might have.
    pub(crate) async fn retry<T>(self, mut request: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        let mut pauses = pauses().build();
        loop {
            let error = match request().await {
                Err(error) if error.is_transient() => error,
                other => return other,
            };
            if self.has_passed() {
                return Err(self.error(vec![error.to_string()]));
            }
            tokio::time::sleep(pauses.next().unwrap_or(LONGEST)).await;
        }
    }

    /// Follows a watch until nothing is left to wait for. `pending` takes a change and returns what is still waited for. A watch that
    /// breaks resumes by itself.
    ///
    /// # Errors
    /// At once with an error that will not pass by itself; when time is up, with what was waited for.
    pub(crate) async fn follow<T>(
        self,
        changes: impl Stream<Item = Result<T>>,
        mut pending: impl FnMut(T) -> Vec<String>,
    ) -> Result<()> {
        let mut changes = pin!(changes);
        let (mut waiting, mut interruption) = (Vec::new(), None);
        loop {
            match tokio::time::timeout_at(self.start + self.limit, changes.next()).await {
                Ok(Some(Ok(change))) => {
                    interruption = None;
                    waiting = pending(change);
                    if waiting.is_empty() {
                        return Ok(());
                    }
                }
                Ok(Some(Err(error))) if error.is_transient() => interruption = Some(error.to_string()),
                Ok(Some(Err(error))) => return Err(error),
                Ok(None) | Err(_) => {
                    waiting.extend(interruption);
                    return Err(self.error(waiting));
                }
            }
        }
    }
}

const LONGEST: Duration = Duration::from_secs(1);

/// The pauses between two attempts: from 50 ms to a second, so that many programs do not ask at the same time.
fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(LONGEST)
        .without_max_times()
        .with_jitter()
}

/// The same pauses for a watch that breaks.
pub(crate) fn reconnect() -> ExponentialBackoff {
    pauses().into()
}
