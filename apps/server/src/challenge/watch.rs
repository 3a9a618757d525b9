//! What becomes of a request that the champion or the canary was asked.

use std::time::{Duration, Instant};

use super::challenger::Challenger;
use super::figures::Outcome;

/// Watches a request until it is over, which it also is when its client leaves.
pub(super) struct Watch<'a> {
    challenger: &'a Challenger,
    begun: Instant,
    of_canary: bool,
    is_over: bool,
}

impl<'a> Watch<'a> {
    /// Watches a request of the canary, or of its champion, from now on.
    pub(super) fn begin(challenger: &'a Challenger, of_canary: bool) -> Self {
        Self { challenger, begun: Instant::now(), of_canary, is_over: false }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// It is over now, with this outcome if it counts.
    pub(super) fn over(self, outcome: Option<Outcome>) {
        let took = self.elapsed();
        self.over_after(outcome, took);
    }

    /// It was over after so long.
    pub(super) fn over_after(mut self, outcome: Option<Outcome>, took: Duration) {
        self.is_over = true;
        if let Some(outcome) = outcome {
            self.challenger.observe(self.of_canary, outcome, took);
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.challenger.observe(self.of_canary, Outcome::Left, self.begun.elapsed());
        }
    }
}
