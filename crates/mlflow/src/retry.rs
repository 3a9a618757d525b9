//! How often and how long failed calls are retried, and which calls may be.

use std::time::Duration;

use backon::ExponentialBuilder;

/// How a call is retried while MLflow does not answer or fails. Refusals (4xx) are never retried.
#[derive(Debug, Clone, Copy)]
pub struct Retry(ExponentialBuilder);

impl Retry {
    /// For a person at a terminal: five attempts over about three seconds.
    pub const INTERACTIVE: Self = Self::at_most(5).pausing(Duration::from_millis(200), Duration::from_secs(2));

    /// For a job that has trained for hours: as many attempts as fit into twelve minutes, which is longer than MLflow and its
    /// database take to start again on another node.
    pub const JOB: Self = Self(
        ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(10))
            .without_max_times()
            .with_total_delay(Some(Duration::from_secs(12 * 60))),
    );

    /// At most this many attempts, the first included.
    #[must_use]
    pub const fn at_most(attempts: usize) -> Self {
        Self(ExponentialBuilder::new().with_jitter().with_max_times(attempts.saturating_sub(1)))
    }

    /// Pauses `first` before the second attempt, doubled with each further one up to `longest`. Jitter adds up to as much again, so that
    /// clients which failed together do not come back together.
    #[must_use]
    pub const fn pausing(self, first: Duration, longest: Duration) -> Self {
        Self(self.0.with_min_delay(first).with_max_delay(longest))
    }

    pub(crate) const fn backoff(self) -> ExponentialBuilder {
        self.0
    }
}

/// What repeating a request would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing more than the first attempt: every failure is retried.
    Harmless,
    /// Create a second object. It is retried only if the first attempt certainly created none: no connection, or a refusal for now (429). A
    /// server error says no such thing: MLflow answers with 503 also if its database went away while it committed, and with any if what it does
    /// after the commit fails.
    MakesAnother,
}

impl Repeat {
    pub(crate) fn after_status(self, status: u16) -> bool {
        match self {
            Self::Harmless => status == 429 || (500..600).contains(&status) && status != 501,
            Self::MakesAnother => status == 429,
        }
    }

    pub(crate) fn after_broken_off(self, connected: bool) -> bool {
        self == Self::Harmless || !connected
    }
}

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder;

    use super::*;

    #[test]
    fn a_person_waits_seconds_and_a_job_minutes() {
        let pauses = |retry: Retry| retry.backoff().build().collect::<Vec<Duration>>();
        let at_a_terminal = pauses(Retry::INTERACTIVE);
        assert_eq!(at_a_terminal.len(), 4);
        assert!(at_a_terminal.iter().sum::<Duration>() < Duration::from_secs(7), "{at_a_terminal:?}");
        let of_a_job: Duration = pauses(Retry::JOB).iter().sum();
        assert!((690..=720).contains(&of_a_job.as_secs()), "{of_a_job:?}");
    }

    #[test]
    fn what_makes_another_is_not_repeated_when_in_doubt() {
        assert!(Repeat::MakesAnother.after_status(429));
        assert!([500, 502, 503, 504].iter().all(|status| !Repeat::MakesAnother.after_status(*status)));
        assert!(!Repeat::MakesAnother.after_broken_off(true) && Repeat::MakesAnother.after_broken_off(false));
        assert!(
            Repeat::Harmless.after_status(504)
                && !Repeat::Harmless.after_status(404)
                && !Repeat::Harmless.after_status(501)
        );
    }
}
