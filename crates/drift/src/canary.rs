//! A canary answers a share of the requests: does it fail more often than the champion?

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

const FRACTIONS: [f64; 6] = [0.05, 0.1, 0.2, 0.4, 0.6, 0.9];

/// A one-sided sequential test that a canary fails more often than the champion by more than a margin. A failure is what the caller says:
/// an error, or an answer later than a limit.
///
/// Requests are different for the two, so they are compared in blocks: a block is over as soon as both have answered in it, and bets on the
/// difference of their shares of failures. Null hypothesis: in each block, given what came before, the canary's probability of a failure
/// is at most that of the champion plus the margin, and which of the two gets a request does not depend on it. A load that changes from
/// block to block does no harm, because both feel it. Then the test says "worse" with probability at most the level, ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    level: f64,
    margin: f64,
    /// Logarithm of the capital of each fraction.
    capitals: [f64; FRACTIONS.len()],
    canary: Answers,
    champion: Answers,
    worse: bool,
}

/// Answers in the block that is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Answers {
    all: u32,
    failed: u32,
}

impl Answers {
    fn add(&mut self, failed: bool) {
        self.all += 1;
        self.failed += u32::from(failed);
    }

    fn share(self) -> f64 {
        f64::from(self.failed) / f64::from(self.all)
    }
}

impl Canary {
    /// A test at a level, with the margin of failures that is forgiven, such as 0.01.
    ///
    /// # Errors
    /// When the level is not between 0 and 1, or the margin not at least 0 and less than 1.
    pub fn new(level: f64, margin: f64) -> Result<Self> {
        if !(level > 0.0 && level < 1.0) {
            return Err(Error::Range { what: "the level of a test", value: level, allowed: "between 0 and 1" });
        }
        if !(0.0..1.0).contains(&margin) {
            return Err(Error::Range { what: "the margin", value: margin, allowed: "at least 0 and less than 1" });
        }
        let (canary, champion) = (Answers::default(), Answers::default());
        Ok(Self { level, margin, capitals: [0.0; FRACTIONS.len()], canary, champion, worse: false })
    }

    /// Takes an answer of the canary; returns whether it is worse.
    pub fn canary(&mut self, failed: bool) -> bool {
        self.canary.add(failed);
        self.close()
    }

    /// Takes an answer of the champion; returns whether the canary is worse.
    pub fn champion(&mut self, failed: bool) -> bool {
        self.champion.add(failed);
        self.close()
    }

    /// Whether the canary was found to be worse. Once found it stays.
    #[must_use]
    pub fn worse(&self) -> bool {
        self.worse
    }

    /// The natural logarithm of the e-value for "worse".
    #[must_use]
    pub fn evidence(&self) -> f64 {
        let most = self.capitals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + (self.capitals.iter().map(|log| (log - most).exp()).sum::<f64>() / FRACTIONS.len() as f64).ln()
    }

    fn close(&mut self) -> bool {
        if self.canary.all > 0 && self.champion.all > 0 {
            // at least -1, so no bet loses more than its fraction
            let difference = (self.canary.share() - self.champion.share() - self.margin) / (1.0 + self.margin);
            for (capital, fraction) in self.capitals.iter_mut().zip(FRACTIONS) {
                *capital += (fraction * difference).ln_1p();
            }
            (self.canary, self.champion) = (Answers::default(), Answers::default());
            self.worse |= self.evidence() >= -self.level.ln();
        }
        self.worse
    }
}
