//! The e-detector: bets that an event has become more frequent, and their capital.
//!
//! See the crate's documentation for the theorem. Shiryaev-Roberts form of Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework
//! for sequential change detection" (2024), with time as the currency: each window adds its share of the promised period to every bet.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Each event has a bet on these multiples of its largest probable odds.
const ODDS: [f64; BETS] = [1.5, 2.5, 6.0, 30.0];
const BETS: usize = 4;
/// No capital is larger, so that none overflows; a capital that is cut is still a promise kept.
const MOST: f64 = 1e250;

/// What is *not* a drift: the class of processes for which false alarms are bounded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct NoDrift {
    /// Serial correlation between neighbouring windows, 0 to less than 1: how far the expected share of an event may follow the share in
    /// the window before.
    pub serial: f64,
    /// Share of the observations that may be anything at any time, 0 to less than 1.
    pub stray: f64,
    /// How much more the counts of a window vary than those of independent observations, at least 1: the ratio of the variances, or how
    /// many observations come in one clump. Evidence is divided by it, so a change takes that many times as long to notice.
    pub dispersion: f64,
}

impl Default for NoDrift {
    fn default() -> Self {
        Self { serial: 0.3, stray: 0.0, dispersion: 2.0 }
    }
}

/// The form of the detector. Both keep the promise; Shiryaev-Roberts is never slower, because its capital is never smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    /// The sum over all times at which a drift can have begun.
    #[default]
    ShiryaevRoberts,
    /// The largest over these times.
    Cusum,
}

/// An event that is watched for becoming more frequent. That something becomes rarer is the event that it does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Upper confidence bound of its probability without drift.
    pub bound: f64,
    /// Its share of the stakes. The detector divides by the sum over all events.
    pub weight: f64,
}

/// Of how many observations of a window an event was true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Observations for which it is known.
    pub seen: u32,
    /// Those for which it is true.
    pub hits: u32,
}

/// What the bets have come to. It is the same whenever the same windows are given in the same order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Capital of each bet, event by event.
    capitals: Vec<f64>,
    /// Share of each event in its last window that had observations; negative before.
    shares: Vec<f64>,
    /// Windows so far.
    windows: u64,
    /// Sum of the stakes: the bound on the probability that there was a false alarm, before the risk of the reference.
    staked: f64,
}

impl State {
    /// Windows so far.
    #[must_use]
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// The sum of the stakes: a false alarm so far had at most this probability, beside the risk of the reference.
    #[must_use]
    pub fn staked(&self) -> f64 {
        self.staked
    }
}

/// What one window came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The e-value of this window alone: without drift its mean is at most 1, so it is 20 or more in at most one window of 20.
    pub window: f64,
    /// The capital of all bets, weighted. An alarm is 1 or more.
    pub total: f64,
}

impl Evidence {
    /// Whether this is an alarm.
    #[must_use]
    pub fn alarm(&self) -> bool {
        self.total >= 1.0
    }
}

/// Bets on events: what is fixed before the first window.
#[derive(Clone, Debug)]
pub struct Detector {
    lines: Vec<Line>,
    class: NoDrift,
    form: Form,
}

/// The bets on one event.
#[derive(Clone, Copy, Debug)]
struct Line {
    weight: f64,
    bound: f64,
    /// Most probable without drift when the window before was usual: the bound with the stray share.
    usual: f64,
    usual_logs: (f64, f64),
    /// Alternatives, as logarithms of probability and of its complement.
    logs: [(f64, f64); BETS],
    alternatives: [f64; BETS],
}

impl Detector {
    /// Bets on these events.
    ///
    /// # Errors
    /// When there is no event, a bound is not within 0 and 1, a weight is not positive, or the class is out of range.
    pub fn new(events: &[Event], class: NoDrift, form: Form) -> Result<Self> {
        let allowed = "at least 0 and less than 1";
        for (what, value) in [("the serial correlation", class.serial), ("the stray share", class.stray)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::Range { what, value, allowed });
            }
        }
        if !(class.dispersion >= 1.0 && class.dispersion.is_finite()) {
            return Err(Error::Range { what: "the dispersion", value: class.dispersion, allowed: "at least 1" });
        }
        if events.is_empty() {
            return Err(Error::TooFew { what: "a detector".to_owned(), found: 0, needed: 1 });
        }
        let whole: f64 = events.iter().map(|event| event.weight).sum();
        let lines = events
            .iter()
            .map(|event| {
                if !(0.0..=1.0).contains(&event.bound) {
                    return Err(Error::Range { what: "a probability", value: event.bound, allowed: "from 0 to 1" });
                }
                if !(event.weight > 0.0 && event.weight.is_finite()) {
                    return Err(Error::Range { what: "a weight", value: event.weight, allowed: "positive" });
                }
                Ok(Line::new(event.bound, event.weight / whole, class.stray))
            })
            .collect::<Result<_>>()?;
        Ok(Self { lines, class, form })
    }

    /// The state before the first window.
    #[must_use]
    pub fn start(&self) -> State {
        let events = self.lines.len();
        State { capitals: vec![0.0; events * BETS], shares: vec![-1.0; events], windows: 0, staked: 0.0 }
    }

    /// Takes a window. `counts` has a count for each event; `stake` is the share of the promised period that this window stands for, known
    /// before its observations.
    ///
    /// # Errors
    /// When the state is that of another detector, the number of counts is wrong, or the stake is negative or not a number.
    pub fn update(&self, state: &mut State, counts: &[Count], stake: f64) -> Result<Evidence> {
        let events = self.lines.len();
        self.check(state)?;
        if counts.len() != events {
            return Err(Error::Row { found: counts.len(), expected: events });
        }
        if !(stake >= 0.0 && stake.is_finite()) {
            return Err(Error::Range { what: "a stake", value: stake, allowed: "a share of a period" });
        }
        let mut evidence = Evidence { window: 0.0, total: 0.0 };
        let capitals = state.capitals.chunks_exact_mut(BETS);
        for (((line, capitals), share), count) in self.lines.iter().zip(capitals).zip(&mut state.shares).zip(counts) {
            let payoffs = line.payoffs(*count, *share, &self.class);
            if count.seen > 0 {
                *share = f64::from(count.hits) / f64::from(count.seen);
            }
            let (mut fresh, mut kept) = (0.0, 0.0);
            for (capital, payoff) in capitals.iter_mut().zip(payoffs) {
                let before = match self.form {
                    Form::ShiryaevRoberts => *capital + stake,
                    Form::Cusum => capital.max(stake),
                };
                *capital = (before * payoff).min(MOST);
                fresh += payoff;
                kept += *capital;
            }
            evidence.window += line.weight * fresh / BETS as f64;
            evidence.total += line.weight * kept / BETS as f64;
        }
        state.windows += 1;
        state.staked += stake;
        Ok(evidence)
    }

    /// What each event contributes to the total.
    ///
    /// # Errors
    /// When the state is that of another detector.
    pub fn contributions(&self, state: &State) -> Result<Vec<f64>> {
        self.check(state)?;
        let mean = |capitals: &[f64]| capitals.iter().sum::<f64>() / BETS as f64;
        Ok(self
            .lines
            .iter()
            .zip(state.capitals.chunks_exact(BETS))
            .map(|(line, all)| line.weight * mean(all))
            .collect())
    }

    fn check(&self, state: &State) -> Result<()> {
        let expected = self.lines.len() * BETS;
        if state.capitals.len() == expected && state.shares.len() == self.lines.len() {
            return Ok(());
        }
        Err(Error::State { found: state.capitals.len(), expected })
    }
}

impl Line {
    fn new(bound: f64, weight: f64, stray: f64) -> Self {
        let usual = stray + (1.0 - stray) * bound;
        let alternatives = ODDS.map(|times| {
            let odds = times * usual / (1.0 - usual);
            if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
        });
        let logs = alternatives.map(|alternative| (alternative.ln(), (-alternative).ln_1p()));
        Self { weight, bound, usual, usual_logs: (usual.ln(), (-usual).ln_1p()), logs, alternatives }
    }

    /// What each bet pays for a staked unit: the likelihood ratio of its alternative to the largest probability without drift, to the power
    /// of 1 / dispersion. A bet whose alternative is not above that probability is not placed.
    fn payoffs(&self, count: Count, last: f64, class: &NoDrift) -> [f64; BETS] {
        let (price, logs) = if last > self.bound {
            let followed = (1.0 - class.serial) * self.bound + class.serial * last;
            let price = class.stray + (1.0 - class.stray) * followed;
            (price, (price.ln(), (-price).ln_1p()))
        } else {
            (self.usual, self.usual_logs)
        };
        // Nothing is known of an event that may be certain. One that cannot happen is not bet on: its odds have no multiple.
        if price <= 0.0 || price >= 1.0 {
            return [1.0; BETS];
        }
        let hits = f64::from(count.hits.min(count.seen)) / class.dispersion;
        let misses = f64::from(count.seen.saturating_sub(count.hits)) / class.dispersion;
        std::array::from_fn(|bet| {
            if self.alternatives[bet] <= price {
                return 1.0;
            }
            let (hit, miss) = (self.logs[bet].0 - logs.0, self.logs[bet].1 - logs.1);
            (hits * hit + misses * miss).min(500.0).exp()
        })
    }
}
