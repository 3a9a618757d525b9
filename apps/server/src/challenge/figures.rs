//! What is counted of champion and challenger, and the tests that switch a canary off.

use std::time::Duration;

use slipway_drift::Canary;

use super::corrections::Corrections;
use super::latencies::Latencies;

/// Each of the three tests accuses a canary that is not worse with at most this probability, however long it runs.
pub(super) const LEVEL: f64 = 0.005;
/// How much more often a canary may fail than the champion, as a share of its requests.
const ERRORS: f64 = 0.005;
/// How much more often it may be late.
const LATE: f64 = 0.1;
/// Answers of the champion before it is known what is late. Until then a canary is not asked.
const KNOWN: usize = 32;
/// After how many answers of the champion it is looked again.
const AGAIN: u64 = 64;
/// The limits of the time that a canary has for an answer.
const LIMITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Why a canary was switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worse {
    Errors,
    Latency,
    Corrections,
}

/// What is counted of a version.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Requests that it answered.
    pub(super) answered: u64,
    /// Requests that it failed on, those included that it did not answer in time.
    pub(super) failed: u64,
    /// Requests that it did not answer in time.
    pub(super) too_late: u64,
    /// How long its answers took.
    pub(super) latencies: Latencies,
}

/// What became of a request that the champion or the canary was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    Failed,
    /// The champion was asked instead.
    TooLate,
    /// Its client did not wait any longer.
    Left,
}

/// What a shadow answered. Its thread counts it, which has the lowest priority: no thread that answers requests may wait for it.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) shadow: Side,
    /// Rows that both answered alike.
    pub(super) agreed: u64,
    pub(super) disagreed: u64,
}

/// What the threads that answer requests count.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) champion: Side,
    /// Nothing, if the challenger is a shadow.
    pub(super) canary: Side,
    pub(super) errors: Canary,
    pub(super) lateness: Canary,
    pub(super) corrections: Corrections,
    bounds: Option<Bounds>,
}

/// What is late, and how long a canary is waited for. Both follow from answers before, so what they are used for has no influence on them.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    late: Duration,
    limit: Duration,
}

impl Figures {
    /// Nothing yet, of a challenger that gets this share of the requests.
    ///
    /// # Errors
    /// Never: the levels are constants, and a share is within 0 and 1.
    pub(super) fn new(share: f64) -> slipway_drift::Result<Self> {
        Ok(Self {
            champion: Side::default(),
            canary: Side::default(),
            errors: Canary::new(LEVEL, ERRORS)?,
            lateness: Canary::new(LEVEL, LATE)?,
            corrections: Corrections::new(share)?,
            bounds: None,
        })
    }

    /// How long a canary is waited for until the champion answers: eight times what 99 of 100 answers of the champion took. `None` while
    /// too few of these are known.
    pub(super) fn limit(&self) -> Option<Duration> {
        self.bounds.map(|bounds| bounds.limit)
    }

    /// Whether a request was late, if that is known, and if its end says how quick the version is.
    fn late(&self, outcome: Outcome, took: Duration) -> Option<bool> {
        let late = took > self.bounds?.late;
        // one that fails may do so at once, and who leaves may leave early
        (late || matches!(outcome, Outcome::Answered | Outcome::TooLate)).then_some(late)
    }

    /// Takes a request that the champion was asked, and the canary was not.
    pub(super) fn champion(&mut self, outcome: Outcome, took: Duration) -> Option<Worse> {
        count(&mut self.champion, outcome, took);
        let worse = match outcome {
            Outcome::Left => false,
            _ => self.errors.champion(outcome != Outcome::Answered),
        };
        let later = self.late(outcome, took).is_some_and(|late| self.lateness.champion(late));
        let known = self.champion.latencies.len();
        if outcome == Outcome::Answered
            && (known == KNOWN || (known > KNOWN && self.champion.answered.is_multiple_of(AGAIN)))
            && let Some([most, nearly_all]) = self.champion.latencies.quantiles([0.9, 0.99])
        {
            let late = most * 5 / 4 + Duration::from_millis(1);
            self.bounds = Some(Bounds { late, limit: (nearly_all * 8).clamp(LIMITS.0, LIMITS.1) });
        }
        self.verdict(worse, later)
    }

    /// Takes a request that the canary was asked. One on which the champion failed as well is no failure of the canary.
    pub(super) fn canary(&mut self, outcome: Outcome, took: Duration) -> Option<Worse> {
        count(&mut self.canary, outcome, took);
        let worse = match outcome {
            Outcome::Left => false,
            _ => self.errors.canary(outcome != Outcome::Answered),
        };
        let later = self.late(outcome, took).is_some_and(|late| self.lateness.canary(late));
        self.verdict(worse, later)
    }

    fn verdict(&self, worse: bool, later: bool) -> Option<Worse> {
        // what does not answer in time is slow, whichever test says it first, and after a request of whichever version
        let is_late = self.canary.too_late * 2 > self.canary.failed;
        if worse && !is_late { Some(Worse::Errors) } else { (worse || later).then_some(Worse::Latency) }
    }
}

fn count(side: &mut Side, outcome: Outcome, took: Duration) {
    match outcome {
        Outcome::Answered => {
            side.answered += 1;
            side.latencies.add(took);
        }
        Outcome::Failed => side.failed += 1,
        Outcome::TooLate => {
            side.failed += 1;
            side.too_late += 1;
        }
        Outcome::Left => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// After how many of its requests a canary with these answers is switched off, of which it gets one of `each`.
    fn switched_off(each: u32, most: u32, mut answer: impl FnMut(u32) -> (Outcome, Duration)) -> Option<(u32, Worse)> {
        let mut figures = Figures::new(0.05).unwrap();
        for at in 0..most {
            for other in 0..each {
                // between 1 and 3 ms
                let took = MS + MS * 2 * ((other * 7 + at * 3) % 11) / 11;
                if let Some(worse) = figures.champion(Outcome::Answered, took) {
                    return Some((at, worse));
                }
            }
            if figures.limit().is_none() {
                continue;
            }
            let (outcome, took) = answer(at);
            if let Some(worse) = figures.canary(outcome, took) {
                return Some((at + 1, worse));
            }
        }
        None
    }

    #[test]
    fn a_canary_that_fails_or_is_slow_is_found_after_a_few_requests() {
        let (failed, _) = switched_off(19, 100, |_| (Outcome::Failed, MS)).unwrap();
        assert!(failed <= 14, "{failed}");
        let (slow, why) = switched_off(19, 100, |_| (Outcome::Answered, MS * 30)).unwrap();
        assert!(slow <= 20 && why == Worse::Latency, "{slow}");
        let (never, why) = switched_off(19, 100, |_| (Outcome::TooLate, MS * 1000)).unwrap();
        assert!(never <= 14 && why == Worse::Latency, "{never}");
        for each in 1..60 {
            // for some of them the champion's next request decides
            let (_, why) = switched_off(each, 100, |_| (Outcome::TooLate, MS * 1000)).unwrap();
            assert_eq!(why, Worse::Latency, "{each}");
        }
        // whose clients leave before it has answered
        let (left, why) = switched_off(19, 100, |_| (Outcome::Left, MS * 30)).unwrap();
        assert!(left <= 20 && why == Worse::Latency, "{left}");
        let (sometimes, why) =
            switched_off(19, 1000, |at| (if at % 10 == 0 { Outcome::Failed } else { Outcome::Answered }, MS * 2))
                .unwrap();
        assert!(sometimes <= 400 && why == Worse::Errors, "{sometimes}");
    }

    #[test]
    fn an_equal_canary_stays() {
        assert_eq!(switched_off(19, 5000, |at| (Outcome::Answered, MS + MS * 2 * (at % 11) / 11)), None);
        // a millisecond more is no harm, and who leaves early says nothing
        assert_eq!(switched_off(1, 5000, |at| (Outcome::Answered, MS * 2 + MS * 2 * (at % 11) / 11)), None);
        assert_eq!(switched_off(19, 5000, |_| (Outcome::Left, MS)), None);
    }

    #[test]
    fn a_canary_is_waited_for_as_long_as_the_champion_makes_usual() {
        let mut figures = Figures::new(0.05).unwrap();
        for (answers, took, limit) in [
            (KNOWN - 1, MS * 20, None),
            (1, MS * 20, Some(MS * 160)),
            (2000, MS / 10, Some(MS * 50)),
            (2000, MS * 500, Some(MS * 1000)),
        ] {
            for _ in 0..answers {
                figures.champion(Outcome::Answered, took);
            }
            assert_eq!(figures.limit(), limit);
        }
    }
}
