//! Answers that people have corrected: are those of a canary corrected more often than those of its champion?
//!
//! A hash decides which version answers a request, and nobody is told which one it was. So of the answers that people correct the canary has at
//! most its share, unless people find more of its answers wrong: however few of them speak up, and whatever moves them to it.

use slipway_drift::{Count, Detector, Event, Form, NoDrift, State};

use super::figures::LEVEL;

/// No correction has to do with another one: the hash decides about each request anew.
const INDEPENDENT: NoDrift = NoDrift { serial: 0.0, stray: 0.0, dispersion: 1.0 };

/// Corrected answers of both versions, and a bet that more of them are the canary's than its share. It begins with a capital of 1, and reaches
/// 1 / level with a canary that is not worse with a probability of at most the level, however long it goes on: the detector with a single
/// stake.
#[derive(Debug)]
pub(super) struct Corrections {
    detector: Detector,
    state: State,
    /// An alarm is 1.
    total: f64,
    pub(super) canary: u64,
    pub(super) champion: u64,
}

impl Corrections {
    /// None yet, of a canary that gets this share of the requests.
    ///
    /// # Errors
    /// When the share is not within 0 and 1.
    pub(super) fn new(share: f64) -> slipway_drift::Result<Self> {
        let event = Event { bound: share, weight: 1.0 };
        let detector = Detector::new(&[event], INDEPENDENT, Form::ShiryaevRoberts)?;
        let state = detector.start();
        Ok(Self { detector, state, total: LEVEL, canary: 0, champion: 0 })
    }

    /// Takes a corrected answer; returns whether the canary was found to be worse.
    pub(super) fn take(&mut self, of_canary: bool) -> bool {
        let stake = if self.canary + self.champion == 0 { LEVEL } else { 0.0 };
        if of_canary {
            self.canary += 1;
        } else {
            self.champion += 1;
        }
        let count = Count { seen: 1, hits: u32::from(of_canary) };
        // the state is this detector's own, and the stake is a number: nothing is refused
        if let Ok(evidence) = self.detector.update(&mut self.state, &[count], stake) {
            self.total = evidence.total;
        }
        self.total >= 1.0
    }

    /// The natural logarithm of the e-value for "worse".
    pub(super) fn evidence(&self) -> f64 {
        (self.total / LEVEL).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many corrections, of `most`, a canary with a twentieth of the requests is found to be worse; its answers are corrected so many
    /// times as often.
    fn found(random: &mut fastrand::Rng, times: f64, most: u32) -> Option<u32> {
        let mut corrections = Corrections::new(0.05).unwrap();
        let share = 0.05 * times / (0.05 * times + 0.95);
        (1..=most).find(|_| corrections.take(random.f64() < share))
    }

    #[test]
    fn a_canary_that_is_not_worse_is_accused_as_rarely_as_promised() {
        let mut random = fastrand::Rng::with_seed(17);
        // five are promised, and three standard deviations of chance
        let accused = (0..1000).filter(|_| found(&mut random, 1.0, 1000).is_some()).count();
        assert!(accused <= 11, "{accused} of 1000");
        assert!((0..1000).all(|_| found(&mut random, 0.5, 200).is_none()));
    }

    #[test]
    fn a_canary_whose_answers_are_corrected_more_often_is_found() {
        let mut random = fastrand::Rng::with_seed(18);
        let mut took: Vec<u32> = (0..200).map(|_| found(&mut random, 5.0, 10_000).unwrap()).collect();
        took.sort_unstable();
        assert!(took[100] <= 60 && took[190] <= 150, "half within {}, 95 % within {}", took[100], took[190]);
        // all that is corrected is the canary's
        let mut corrections = Corrections::new(0.05).unwrap();
        assert_eq!((1..10).find(|_| corrections.take(true)), Some(3));
        assert!(corrections.evidence() >= (1.0 / LEVEL).ln());
        assert_eq!((corrections.canary, corrections.champion), (3, 0));
    }

    #[test]
    fn nothing_is_said_before_the_first_one() {
        let mut corrections = Corrections::new(0.5).unwrap();
        assert!(corrections.evidence().abs() < 1e-12);
        assert!(!corrections.take(false) && corrections.evidence() < 0.0);
    }
}
