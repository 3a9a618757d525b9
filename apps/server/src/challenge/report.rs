//! How a challenger is, for people and for programs that open pull requests.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use slipway_drift::{Canary, Decision};
use slipway_serving::Mode;

use super::challenger::{Challenger, Stage, Why};
use super::figures::{Figures, LEVEL, Side, Worse};
use super::truths;

/// How a challenger is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The model.
    pub model: String,
    /// The version in service.
    pub champion: String,
    /// The version that is tried.
    pub challenger: String,
    /// Its digest.
    pub digest: String,
    /// `shadow` or `canary`.
    pub mode: &'static str,
    /// Of which share of the requests.
    pub share: f64,
    /// `waiting`, `unfit`, `running` or `switched_off`.
    pub state: &'static str,
    /// Why it is not running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `errors`, `latency` or `corrections`, if it was switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<&'static str>,
    /// Since when it has run or is switched off, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Both versions' requests.
    pub requests: Requests,
    /// Whether both say the same, in shadow mode.
    pub agreement: Agreement,
    /// The tests that switch a canary off.
    pub tests: Tests,
    /// Which is right more often, where somebody says what is right.
    pub truth: Comparison,
}

/// Both versions' requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Requests {
    /// Those that only the version in service was asked, or in shadow mode all.
    pub champion: Counted,
    /// Those that the challenger was asked.
    pub challenger: Counted,
    /// Those that it was not asked because it was behind, in shadow mode.
    pub dropped: u64,
}

/// Requests of a version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counted {
    /// Those that it answered.
    pub answered: u64,
    /// Those that it failed on. A canary's were answered by the champion.
    pub failed: u64,
    /// How long the last 1,024 answers took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Quantiles>,
}

/// What a half, nine tenths and 99 of 100 did not exceed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// A half.
    pub p50: f64,
    /// Nine tenths.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
}

/// Rows by whether both versions say the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The same class, or numbers that are close.
    pub agreed: u64,
    /// Another one.
    pub disagreed: u64,
    /// The share of the first; none before the first row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// The tests that switch a canary off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tests {
    /// Evidence that it fails more often, as an e-value.
    pub errors: Evidence,
    /// Evidence that it is late more often.
    pub latency: Evidence,
    /// Evidence that people correct more of its answers.
    pub corrections: Evidence,
}

/// An e-value and the one that decides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// How strongly what was seen speaks against a challenger that is not worse: the capital of a bet that begins with 1.
    pub e_value: f64,
    /// At which it decides: 1 / level.
    pub decides_at: f64,
}

/// Which version is right more often.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Requests whose right answer is known; of a canary, pairs of one that it has answered and one that its champion has answered.
    pub known: u64,
    /// Of these, only the challenger was right.
    pub better: u64,
    /// Only the champion was.
    pub worse: u64,
    /// Both were, or neither.
    pub same: u64,
    /// `open`, `better` or `worse`: of the challenger.
    pub decision: Decision,
    /// The evidence for "better".
    pub evidence: Evidence,
    /// How much more often the challenger is right, as a share of the requests: an interval that contains it with probability 1 - level,
    /// whenever it is looked at.
    pub difference: [f64; 2],
    /// How probable "better" is of a challenger that is not, and "worse" of one that is not, at most.
    pub level: f64,
}

impl Challenger {
    /// How it is.
    pub fn report(&self) -> Report {
        let (state, since, reason, because) = match self.stage().clone() {
            Stage::Waiting(reason) => ("waiting", None, Some(reason), None),
            Stage::Unfit(reason) => ("unfit", None, Some(reason), None),
            Stage::Running(since) => ("running", Some(since), None, None),
            Stage::SwitchedOff(Why { because, reason }, since) => {
                ("switched_off", Some(since), Some(reason), Some(because))
            }
        };
        let (requests, agreement, tests) = self.counted();
        let declared = &self.declared;
        Report {
            model: declared.pin.name.clone(),
            champion: self.champion.clone(),
            challenger: declared.pin.version.to_string(),
            digest: declared.pin.digest.to_string(),
            mode: declared.mode.as_str(),
            share: declared.share.get(),
            state,
            reason,
            because,
            since: since.map(milliseconds),
            requests,
            agreement,
            tests,
            truth: self.comparison(),
        }
    }

    fn counted(&self) -> (Requests, Agreement, Tests) {
        let (agreement, shadow) = {
            let compared = self.compared();
            let (agreed, disagreed) = (compared.agreed, compared.disagreed);
            let rows = agreed + disagreed;
            let share = (rows > 0).then(|| agreed as f64 / rows as f64);
            (Agreement { agreed, disagreed, share }, compared.shadow.report())
        };
        let figures = self.figures();
        let challenger = if self.declared.mode == Mode::Shadow { shadow } else { figures.canary.report() };
        let dropped = self.dropped.load(Ordering::Relaxed);
        let of = |test: &Canary| evidence(test.evidence(), LEVEL);
        let corrections = evidence(figures.corrections.evidence(), LEVEL);
        (
            Requests { champion: figures.champion.report(), challenger, dropped },
            agreement,
            Tests { errors: of(&figures.errors), latency: of(&figures.lateness), corrections },
        )
    }

    fn comparison(&self) -> Comparison {
        let truths = self.truths();
        let (better, worse, same) = truths.test.counts();
        let (low, high) = truths.test.difference();
        Comparison {
            known: better + worse + same,
            better,
            worse,
            same,
            decision: truths.test.decision(),
            evidence: evidence(truths.test.evidence(), truths::LEVEL),
            difference: [low, high],
            level: truths::LEVEL,
        }
    }
}

impl Figures {
    /// Why a canary is worse, in a sentence.
    pub(super) fn why(&self, worse: Worse) -> Why {
        let share = |side: &Side| {
            let all = side.answered + side.failed;
            format!("{} of {all} requests", side.failed)
        };
        let (challenger, champion) = (&self.canary, &self.champion);
        match worse {
            Worse::Errors => Why {
                because: "errors",
                reason: format!(
                    "it failed on {}, and the version in service on {}; the version in service answered those too",
                    share(challenger),
                    share(champion)
                ),
            },
            Worse::Corrections => {
                let (canary, all) = (self.corrections.canary, self.corrections.canary + self.corrections.champion);
                Why {
                    because: "corrections",
                    reason: format!(
                        "of {all} answers that people have corrected {canary} are its own, which is more than its share of the requests"
                    ),
                }
            }
            Worse::Latency => {
                let p90 = |side: &Side| {
                    let found = side.latencies.quantiles([0.9]);
                    found.map_or_else(|| "unknown".to_owned(), |[p90]| format!("{:.1} ms", ms(p90)))
                };
                Why {
                    because: "latency",
                    reason: format!(
                        "it is late more often than the version in service: it answered {} requests and was too late for {} more, which the version \
                         in service answered; nine tenths of its answers took up to {}, and up to {} there",
                        challenger.answered,
                        challenger.too_late,
                        p90(challenger),
                        p90(champion)
                    ),
                }
            }
        }
    }
}

impl Side {
    fn report(&self) -> Counted {
        let quantiles = self.latencies.quantiles([0.5, 0.9, 0.99]).map(|quantiles| quantiles.map(ms));
        let latency_ms = quantiles.map(|[p50, p90, p99]| Quantiles { p50, p90, p99 });
        Counted { answered: self.answered, failed: self.failed, latency_ms }
    }
}

fn evidence(logarithm: f64, level: f64) -> Evidence {
    // beyond this a double ends, and nobody reads further
    Evidence { e_value: logarithm.min(600.0).exp(), decides_at: 1.0 / level }
}

fn ms(time: Duration) -> f64 {
    // to a microsecond
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn milliseconds(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
