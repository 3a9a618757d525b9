//! Has it changed? The detector with its promise, and the statistics that people know beside it.

use serde::Serialize;
use slipway_drift::{Comparison, Contribution, Monitor as Detector, Reference, Region, Verdict};
use slipway_experiment::Monitor;

use crate::streams::Streams;
use crate::windows::{LASTS, windows};
use crate::{Material, Result};

/// The risk of the reference: the probability that it was so unlucky that a bound is wrong.
pub(crate) const RISK: f64 = 0.001;

/// Whether what is new is like the reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The first alarm; `None` if there was none.
    pub alarm: Option<Alarm>,
    /// The largest capital of all bets; an alarm is 1.
    pub capital: f64,
    /// Windows that were looked at.
    pub windows: usize,
    /// Observations in them.
    pub observations: usize,
    /// Observations that wait for their window to be full, or an hour old.
    pub waiting: usize,
    /// When that window is an hour old, or all that waits has arrived by its own time, in seconds since 1970; `None` if none waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes: Option<i64>,
    /// New items that no window has, because nobody knows when they arrived: they are not from a landing prefix.
    pub untimed: usize,
    /// How rarely an alarm is false.
    pub promise: String,
    /// Each stream as it was at the first alarm, otherwise in the last window; the one that contributes most first.
    pub streams: Vec<StreamChange>,
    /// All that is new against the reference, by the statistics that people know. They raise no alarm.
    pub comparisons: Vec<Comparison>,
}

/// The first alarm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alarm {
    /// After so many new observations.
    pub after: usize,
    /// When the last one of them arrived, in seconds since 1970.
    pub at: i64,
    /// The capital.
    pub capital: f64,
    /// The first item of its window, among what is new.
    #[serde(skip)]
    pub from: usize,
}

/// What a stream contributes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamChange {
    /// The stream, such as `contrast`.
    pub stream: String,
    /// Its share of the capital, 0 to 1.
    pub share: f64,
    /// What has become more frequent, such as `below 0.21` or `is 7`.
    pub event: String,
    /// How often that was in the window, 0 to 1; `None` if the window had no value.
    pub seen: Option<f64>,
    /// How often it was in the reference.
    pub usual: f64,
    /// How often it can be by the reference.
    pub bound: f64,
}

/// Compares new rows with those of the reference. `material` says when they arrived.
pub(crate) fn change(
    streams: &Streams,
    reference: &[Vec<f64>],
    new: &[Vec<f64>],
    material: &Material,
    monitor: &Monitor,
    now: i64,
) -> Result<Change> {
    // what has no time stands in front; a time that is made up would be staked
    let untimed = material.times.partition_point(|time| *time <= 0);
    let (times, timed) = (&material.times[untimed..], &new[untimed..]);
    let detector =
        Detector::new(Reference::new(&streams.all(), reference, RISK)?, monitor.no_drift(), monitor.false_alarms)?;
    let mut state = detector.start();
    let (mut alarm, mut capital, mut shown): (Option<Alarm>, f64, Option<Verdict>) = (None, 0.0, None);
    let cut = windows(times, material.before, now);
    for (range, stakes) in &cut {
        let verdict = detector.observe(&mut state, &timed[range.clone()], *stakes)?;
        capital = capital.max(verdict.evidence.total);
        if alarm.is_some() {
            continue;
        }
        if verdict.alarm {
            let at = times.get(range.end - 1).copied().unwrap_or_default();
            let (after, from) = (material.earlier + range.end, untimed + range.start);
            alarm = Some(Alarm { after, at, capital: verdict.evidence.total, from });
        }
        shown = Some(verdict);
    }
    let observations = cut.last().map_or(0, |(range, _)| range.end);
    let later = times.last().copied().filter(|last| *last > now);
    let closes = times.get(observations).map(|first| later.unwrap_or(first.saturating_add(LASTS)));
    let comparisons = if new.is_empty() { Vec::new() } else { detector.reference().compare(new)? };
    Ok(Change {
        alarm,
        capital,
        windows: cut.len(),
        observations,
        waiting: timed.len() - observations,
        closes,
        untimed,
        promise: monitor.false_alarms.to_string(),
        streams: shown.map(|verdict| verdict.streams.into_iter().map(StreamChange::from).collect()).unwrap_or_default(),
        comparisons,
    })
}

impl From<Contribution> for StreamChange {
    fn from(contribution: Contribution) -> Self {
        let Contribution { stream, share, region, seen, usual, bound } = contribution;
        Self { stream, share, event: event(&region), seen, usual, bound }
    }
}

fn event(region: &Region) -> String {
    match region {
        Region::Is(class) => format!("is {class}"),
        Region::IsNot(class) => format!("is not {class}"),
        Region::Below(limit) => format!("below {limit:.3}"),
        Region::Above(limit) => format!("above {limit:.3}"),
        Region::Between(low, high) => format!("between {low:.3} and {high:.3}"),
    }
}
