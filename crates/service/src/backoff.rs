//! The pause before something is tried again.

use std::time::Duration;

/// The pause after an attempt: `first` if none has failed before it, twice as long with each one that has, and at most `longest`.
#[must_use]
pub fn backoff(first: Duration, failures: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_the_longest() {
        let (first, longest) = (Duration::from_secs(10), Duration::from_secs(300));
        let pauses = [0, 1, 2, 4, 5, 31, 32, u32::MAX].map(|failures| backoff(first, failures, longest).as_secs());
        assert_eq!(pauses, [10, 20, 40, 160, 300, 300, 300, 300]);
    }
}
