//! Champion and challenger answer the same requests: which is right more often?

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Fractions of the capital that are bet, an equal part of it each.
const FRACTIONS: [f64; 8] = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9];

/// A sequential test on pairs: for each request, whether the challenger did better than the champion, worse, or the same. It may be looked
/// at after every request and stopped at any time.
///
/// Null hypothesis: for no request was "better" more probable than "worse", given what came before. Then the capital of a bet of a
/// fraction f on "better", (1 + f) to the power of the wins times (1 - f) to that of the losses, is a supermartingale, so is the mean over
/// fractions, and by Ville's inequality it ever reaches 1 / level with probability at most the level. Requests on which both do the same
/// change nothing, so it does not matter how often they agree. Requests may depend on each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Paired {
    level: f64,
    wins: u64,
    losses: u64,
    ties: u64,
    decision: Decision,
}

/// What a paired test has found. Once found it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// Nothing yet.
    Open,
    /// The challenger is better.
    Better,
    /// The challenger is worse.
    Worse,
}

impl Paired {
    /// A test that says "better" of a challenger that is not with probability at most `level`, and "worse" of one that is not with
    /// probability at most `level`.
    ///
    /// # Errors
    /// When the level is not between 0 and 1.
    pub fn new(level: f64) -> Result<Self> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::Range { what: "the level of a test", value: level, allowed: "between 0 and 1" });
        }
        Ok(Self { level, wins: 0, losses: 0, ties: 0, decision: Decision::Open })
    }

    /// Takes a request: [`Ordering::Greater`] if the challenger did better, [`Ordering::Less`] if it did worse.
    pub fn observe(&mut self, challenger: Ordering) -> Decision {
        match challenger {
            Ordering::Greater => self.wins += 1,
            Ordering::Less => self.losses += 1,
            Ordering::Equal => self.ties += 1,
        }
        if self.decision == Decision::Open && challenger.is_ne() {
            let needed = -self.level.ln();
            if self.evidence() >= needed {
                self.decision = Decision::Better;
            } else if capital(self.losses, self.wins) >= needed {
                self.decision = Decision::Worse;
            }
        }
        self.decision
    }

    /// Takes a request with its truth, from whether each answer was right.
    pub fn observe_answers(&mut self, challenger_right: bool, champion_right: bool) -> Decision {
        self.observe(challenger_right.cmp(&champion_right))
    }

    /// What was decided.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Requests so far: the challenger better, worse, the same.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.wins, self.losses, self.ties)
    }

    /// The natural logarithm of the e-value for "better".
    #[must_use]
    pub fn evidence(&self) -> f64 {
        capital(self.wins, self.losses)
    }

    /// A confidence sequence for how much more often the challenger is right, as a share of the requests, each end between -1 and 1:
    /// with probability at least 1 - level it contains the true difference at every time at once. This needs more than the test: the
    /// mean of the difference, given what came before, is the same for every request.
    #[must_use]
    pub fn difference(&self) -> (f64, f64) {
        let needed = (2.0 / self.level).ln();
        let low = |wins, losses| {
            let (mut refused, mut possible) = (-1.0, 1.0);
            // the evidence against a difference falls as the difference grows
            for _ in 0..60 {
                let middle = 0.5 * (refused + possible);
                if against(wins, losses, self.ties, middle) >= needed {
                    refused = middle;
                } else {
                    possible = middle;
                }
            }
            refused
        };
        (low(self.wins, self.losses), -low(self.losses, self.wins))
    }
}

/// The logarithm of the capital of bets on "better".
fn capital(wins: u64, losses: u64) -> f64 {
    let (wins, losses) = (wins as f64, losses as f64);
    mean_exponential(FRACTIONS.map(|fraction| wins * fraction.ln_1p() + losses * (-fraction).ln_1p()))
}

/// The logarithm of the capital of bets that the mean difference is above this one.
fn against(wins: u64, losses: u64, ties: u64, difference: f64) -> f64 {
    let (wins, losses, ties) = (wins as f64, losses as f64, ties as f64);
    if difference <= -1.0 {
        return if wins + ties > 0.0 { f64::INFINITY } else { 0.0 };
    }
    mean_exponential(FRACTIONS.map(|fraction| {
        let bet = fraction / (1.0 + difference);
        wins * (bet * (1.0 - difference)).ln_1p() + losses * (-fraction).ln_1p() + ties * (-bet * difference).ln_1p()
    }))
}

fn mean_exponential(logs: [f64; FRACTIONS.len()]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + (logs.iter().map(|log| (log - most).exp()).sum::<f64>() / logs.len() as f64).ln()
}
