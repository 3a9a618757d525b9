//! Watches windows of observations against a reference.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::reference::{Region, check};
use crate::{Count, Detector, Event, Evidence, Form, NoDrift, Promise, Reference, Result, State};

/// Watches windows against a reference, and keeps a promise about false alarms. It holds nothing that changes: see [`State`].
#[derive(Clone, Debug)]
pub struct Monitor {
    reference: Reference,
    detector: Detector,
    promise: Promise,
}

/// What one window showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The window's own e-value, and the capital of all bets.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// Whether this is an alarm: the capital is 1 or more.
    pub alarm: bool,
    /// Each stream, the one that contributes most first.
    pub streams: Vec<Contribution>,
}

/// What one stream contributes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contribution {
    /// The stream's name.
    pub stream: String,
    /// Its share of the capital, 0 to 1.
    pub share: f64,
    /// The region of it whose bets have most.
    pub region: Region,
    /// The region's share of this window; none if the window had no value.
    pub seen: Option<f64>,
    /// Its share of the reference.
    pub usual: f64,
    /// The largest share that is compatible with the reference.
    pub bound: f64,
}

impl Monitor {
    /// Watches for drift away from a reference.
    ///
    /// # Errors
    /// When the reference has no stream, or the class is out of range.
    pub fn new(reference: Reference, class: NoDrift, promise: Promise) -> Result<Self> {
        let events: Vec<Event> = reference
            .streams
            .iter()
            .flat_map(|summary| {
                let weight = summary.stream.weight / summary.watched.len() as f64;
                summary.watched.iter().map(move |watched| Event { bound: watched.bound, weight })
            })
            .collect();
        let detector = Detector::new(&events, class, Form::ShiryaevRoberts)?;
        Ok(Self { reference, detector, promise })
    }

    /// The reference.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The state before the first window, and again after an alarm that was dealt with.
    #[must_use]
    pub fn start(&self) -> State {
        self.detector.start()
    }

    /// Takes a window: rows of observations, one value a stream; their order does not matter. `elapsed` is the time since the window
    /// before; it has to be known before the observations, or at least not depend on what they say.
    ///
    /// # Errors
    /// When a row does not fit, a class is unknown, or the state is that of another monitor. The state is unchanged then.
    pub fn observe<R: AsRef<[f64]>>(&self, state: &mut State, rows: &[R], elapsed: Duration) -> Result<Verdict> {
        let counts = self.count(rows)?;
        let evidence = self.detector.update(state, &counts, self.promise.stake(elapsed))?;
        let mut streams = self.contributions(state, &counts, evidence.total)?;
        streams.sort_by(|a, b| b.share.total_cmp(&a.share));
        Ok(Verdict { evidence, alarm: evidence.alarm(), streams })
    }

    /// Counts the observations in each region.
    fn count<R: AsRef<[f64]>>(&self, rows: &[R]) -> Result<Vec<Count>> {
        let regions: usize = self.reference.streams.iter().map(|summary| summary.watched.len()).sum();
        let mut counts = vec![Count::default(); regions];
        for row in rows.iter().map(AsRef::as_ref) {
            check(self.reference.streams.iter().map(|summary| &summary.stream), row)?;
            let mut first = 0;
            for (summary, &value) in self.reference.streams.iter().zip(row) {
                let counts = &mut counts[first..first + summary.watched.len()];
                first += summary.watched.len();
                if !value.is_nan() {
                    for (watched, count) in summary.watched.iter().zip(counts) {
                        count.seen += 1;
                        count.hits += u32::from(watched.region.has(value));
                    }
                }
            }
        }
        Ok(counts)
    }

    fn contributions(&self, state: &State, counts: &[Count], total: f64) -> Result<Vec<Contribution>> {
        let capitals = self.detector.contributions(state)?;
        let mut first = 0;
        let mut all = Vec::with_capacity(self.reference.streams.len());
        for summary in &self.reference.streams {
            let range = first..first + summary.watched.len();
            first = range.end;
            let capitals = &capitals[range.clone()];
            let (best, _) = capitals.iter().enumerate().fold((0, f64::NEG_INFINITY), |best, (index, &capital)| {
                if capital > best.1 { (index, capital) } else { best }
            });
            let Count { seen, hits } = counts[range.start + best];
            all.push(Contribution {
                stream: summary.stream.name.clone(),
                share: if total > 0.0 { capitals.iter().sum::<f64>() / total } else { 0.0 },
                region: summary.watched[best].region,
                seen: (seen > 0).then(|| f64::from(hits) / f64::from(seen)),
                usual: summary.watched[best].share,
                bound: summary.watched[best].bound,
            });
        }
        Ok(all)
    }
}
