//! How often and how patiently a call is repeated.

use std::time::Duration;

/// How often a call is tried when MLflow does not answer or fails. Refusals (4xx) are never tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often at most, the first time included; at least 1.
    pub attempts: u32,
    /// Pause before the second attempt; it doubles with each further one.
    pub first_pause: Duration,
    /// No pause is longer than this.
    pub longest_pause: Duration,
}

impl Default for Retry {
    /// Five attempts over about three seconds.
    fn default() -> Self {
        Self { attempts: 5, first_pause: Duration::from_millis(200), longest_pause: Duration::from_secs(2) }
    }
}

impl Retry {
    /// The pause after the attempt with this number, counted from 1.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first_pause.saturating_mul(factor).min(self.longest_pause)
    }
}

/// What a second time would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The same as once: everything is tried again.
    Harmless,
    /// Make a second one. Tried again only when the first surely made none: no connection, or an answer that says so
    /// (429, 500, 503; MLflow rolls its transaction back before it answers 500).
    MakesAnother,
}

impl Repeat {
    pub(crate) fn after_status(self, status: u16) -> bool {
        match self {
            Self::Harmless => status == 429 || (500..600).contains(&status) && status != 501,
            Self::MakesAnother => matches!(status, 429 | 500 | 503),
        }
    }

    pub(crate) fn after_broken_off(self, connected: bool) -> bool {
        self == Self::Harmless || !connected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<u128> = (1..=6).map(|attempt| Retry::default().pause(attempt).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(Retry::default().pause(u32::MAX), Duration::from_secs(2));
    }

    #[test]
    fn what_makes_another_is_not_repeated_when_in_doubt() {
        assert!(Repeat::MakesAnother.after_status(503) && !Repeat::MakesAnother.after_status(504));
        assert!(!Repeat::MakesAnother.after_broken_off(true) && Repeat::MakesAnother.after_broken_off(false));
        assert!(
            Repeat::Harmless.after_status(504)
                && !Repeat::Harmless.after_status(404)
                && !Repeat::Harmless.after_status(501)
        );
    }
}
