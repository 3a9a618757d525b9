//! How long a request is tried again while the store or the network is at fault.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use slipway_names::event::STORE_AWAY;

use crate::{Error, Result};

/// How long to try again while the store is down, overloaded or out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryBudget {
    /// Seconds: a person waits at a terminal.
    Interactive,
    /// 12 minutes: a job waits until a store has been restarted.
    Job,
}

impl RetryBudget {
    /// Counts from the last progress.
    fn limit(self) -> Duration {
        match self {
            Self::Interactive => Duration::from_secs(5),
            Self::Job => Duration::from_secs(12 * 60),
        }
    }

    /// The longest pause between two attempts.
    fn longest_pause(self) -> Duration {
        match self {
            Self::Interactive => Duration::from_secs(2),
            Self::Job => Duration::from_secs(20),
        }
    }

    /// Until an answer begins.
    pub(crate) fn silence(self) -> Duration {
        match self {
            Self::Interactive => Duration::from_secs(10),
            Self::Job => Duration::from_secs(30),
        }
    }

    /// Until credentials are found, all their sources together.
    pub(crate) fn credentials(self) -> Duration {
        match self {
            Self::Interactive => Duration::from_secs(8),
            Self::Job => Duration::from_secs(30),
        }
    }

    pub(crate) fn attempts(self) -> Attempts {
        Attempts { budget: self, progress: Instant::now(), pauses: self.pauses() }
    }

    fn pauses(self) -> ExponentialBackoff {
        let longest = self.longest_pause();
        let shortest = Duration::from_millis(200);
        ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .without_max_times()
            .build()
    }
}

/// The attempts at one thing.
#[derive(Debug)]
pub(crate) struct Attempts {
    budget: RetryBudget,
    progress: Instant,
    pauses: ExponentialBackoff,
}

impl Attempts {
    /// Something arrived: the budget starts afresh.
    pub(crate) fn progressed(&mut self) {
        self.progress = Instant::now();
        self.pauses = self.budget.pauses();
    }

    /// Waits until the next attempt, with growing, random pauses.
    ///
    /// # Errors
    /// The given error, if trying again cannot help or the budget is spent.
    pub(crate) async fn pause(&mut self, error: Error) -> Result<()> {
        let pause = self.pauses.next().unwrap_or_default();
        if !error.is_transient() || self.progress.elapsed() + pause > self.budget.limit() {
            return Err(error.tried_for(self.progress.elapsed()));
        }
        tracing::warn!(event = STORE_AWAY, seconds = pause.as_secs_f64(), "trying again: {error}");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
