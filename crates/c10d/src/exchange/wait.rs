//! How a worker waits for others.

use std::time::{Duration, Instant};

/// Awake at first, because the others usually come within microseconds and waking a thread takes tens of them; then asleep, because
/// another worker may evaluate or load data for minutes.
#[derive(Debug)]
pub(super) struct Wait {
    limit: Duration,
    looks: u32,
    asleep_since: Option<Instant>,
}

/// Looks with nothing but a pause of the processor between them.
const SPINS: u32 = 64;
/// Looks between which others may run, the spins included.
const LOOKS: u32 = 256;

impl Wait {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, looks: 0, asleep_since: None }
    }

    /// Something has arrived or left.
    pub(super) fn progress(&mut self) {
        (self.looks, self.asleep_since) = (0, None);
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

    /// How long it may sleep at most; `None` if nothing has happened for as long as the limit says.
    pub(super) fn left(&mut self) -> Option<Duration> {
        let since = *self.asleep_since.get_or_insert_with(Instant::now);
        self.limit.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
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
