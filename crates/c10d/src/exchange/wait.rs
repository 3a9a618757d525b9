//! How a worker waits for others.

use std::time::{Duration, Instant};

/// Awake at first, because the others usually come within microseconds and waking a thread takes tens of them; then asleep, because
/// another worker may evaluate or load data for minutes.
#[derive(Debug)]
pub(super) struct Wait {
    limit: Duration,
    looks: u32,
    /// How long it has slept since something came last.
    slept: Duration,
    asleep_since: Option<Instant>,
}

/// Looks with nothing but a pause of the processor between them.
const SPINS: u32 = 64;
/// Looks between which others may run, the spins included.
const LOOKS: u32 = 256;
/// The longest sleep. What one takes beyond that is no wait for others: this process was stopped, or its machine was, and the others perhaps with it.
const SLEEP: Duration = Duration::from_secs(1);

impl Wait {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, looks: 0, slept: Duration::ZERO, asleep_since: None }
    }

    /// Something has arrived or left.
    pub(super) fn progress(&mut self) {
        (self.looks, self.slept, self.asleep_since) = (0, Duration::ZERO, None);
    }

    /// Pauses for a moment. Returns `false` when it is time to sleep instead.
    pub(super) fn stay_awake(&mut self) -> bool {
        self.looks += 1;
        if self.looks < SPINS {
            (0..32).for_each(|_| std::hint::spin_loop());
        } else if self.looks < LOOKS {
            std::thread::yield_now();
        }
        self.looks < LOOKS
    }

    /// How long it may sleep at most now; `None` if nothing has happened for as long as the limit says.
    pub(super) fn left(&mut self) -> Option<Duration> {
        if let Some(since) = self.asleep_since.replace(Instant::now()) {
            self.slept += since.elapsed().min(SLEEP);
        }
        self.limit.checked_sub(self.slept).filter(|left| !left.is_zero()).map(|left| left.min(SLEEP))
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }
}

/// What is said about workers that hang.
pub(super) fn silence(ranks: &[usize], limit: Duration) -> String {
    let ranks: Vec<_> = ranks.iter().map(usize::to_string).collect();
    format!("nothing has come from worker {} for {} s", ranks.join(", "), limit.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_this_process_itself_was_stopped_does_not_count() {
        let mut wait = Wait::new(Duration::from_secs(10));
        assert_eq!(wait.left(), Some(SLEEP));
        // a minute between two looks
        wait.asleep_since = Some(Instant::now().checked_sub(Duration::from_secs(60)).unwrap());
        assert_eq!(wait.left(), Some(SLEEP));
        assert_eq!(wait.slept, SLEEP);
        (wait.slept, wait.asleep_since) = (Duration::from_millis(9_900), None);
        assert_eq!(wait.left(), Some(Duration::from_millis(100)));
        wait.slept = Duration::from_secs(10);
        assert_eq!(wait.left(), None);
        wait.progress();
        assert_eq!(wait.left(), Some(SLEEP));
    }
}
