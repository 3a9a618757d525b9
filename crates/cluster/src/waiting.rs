//! Waiting until something is so, and no longer than was allowed.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How often the API server is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    begun: Instant,
    allowed: Duration,
}

/// What a look at the cluster showed.
#[derive(Debug)]
pub(crate) enum Look<T> {
    /// It is so.
    Done(T),
    /// Not yet; what is waited for, with its state.
    Waiting(Vec<String>),
}

impl Deadline {
    pub(crate) fn after(allowed: Duration) -> Self {
        Self { begun: Instant::now(), allowed }
    }

    /// Looks until it is so. An API server that is away for a moment is waited for as well.
    ///
    /// # Errors
    /// When time is up, with what was waited for; or what a look fails with, unless it may pass.
    pub(crate) async fn until<T>(self, mut look: impl AsyncFnMut() -> Result<Look<T>>) -> Result<T> {
        loop {
            let waiting = match look().await {
                Ok(Look::Done(value)) => return Ok(value),
                Ok(Look::Waiting(waiting)) => waiting,
                Err(error) if error.is_passing() => vec![error.to_string()],
                Err(error) => return Err(error),
            };
            if self.begun.elapsed() >= self.allowed {
                return Err(Error::Timeout { after: self.allowed, waiting });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
