//! The detector over the hours of a sample.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use slipway_digest::Digest;
use slipway_drift::{Distance, Monitor as Detector, NoDrift, Promise, Reference, State};
use slipway_experiment::Monitor;
use slipway_samples::{File, Hour, Sample};

use super::sampled::{Numbers, Sampled};
use super::{Evidence, hours};
use crate::change::RISK;
use crate::distance::distance;
use crate::loss::{Estimator, NEWEST, threshold};
use crate::material::Before;
use crate::streams::Streams;
use crate::windows::WINDOW;
use crate::{Alarm, Answers, Change, ClassShare, Classify, Loss, Measured, Model, ReferenceData, Result, StreamChange};

/// Where the predicted class stands in a row of the streams.
const PREDICTED: usize = 0;
/// So many files that could not be read are named.
const MOST_UNREAD: usize = 5;
/// The most rows of an hour that are judged. What `dispersion` stands for was measured on a few windows an hour; with thousands of rows the difference
/// between morning and evening is more than it covers.
const MOST_ROWS: usize = 500;
/// With fewer rows nothing is estimated.
const FEWEST_SCORES: usize = 100;
/// Fewer rows are not described: what is said of two or three requests says what they were.
const FEWEST_SHOWN: usize = 20;
/// So many hours in a row it must have mattered before that decides about a pull request.
pub(super) const IN_A_ROW: usize = 3;

/// What a watch is about. Another version, another reference or another promise is another watch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct About {
    pub(super) model: Model,
    pub(super) trained_on: Digest,
    no_drift: NoDrift,
    promise: Promise,
}

impl About {
    pub(super) fn new(model: Model, trained_on: Digest, monitor: &Monitor) -> Self {
        Self { model, trained_on, no_drift: monitor.no_drift(), promise: monitor.false_alarms }
    }
}

/// The watch over the requests of one version: the reference, and what has come of the hours so far. Its size does not depend on how many there were.
#[derive(Clone, Debug)]
pub struct Watch {
    about: About,
    shape: [usize; 2],
    classes: usize,
    numbers: Numbers,
    /// What measures the features of a request, if the version gave some when the watch began.
    distance: Option<Distance>,
    streams: Streams,
    detector: Detector,
    estimator: Option<Estimator>,
    /// The version's accuracy on the reference, if that has labels.
    accuracy: Option<Measured>,
    reference: ReferenceData,
    /// The share of each answer on the reference.
    usual: Vec<f64>,
    seen: Seen,
}

/// What has come of the hours so far.
#[derive(Clone, Debug)]
struct Seen {
    state: State,
    /// What was read or came too late, of the hours that are still looked back on.
    files: BTreeSet<File>,
    /// The first hour that is still looked back on.
    first: Option<Hour>,
    /// The last hour that was judged, and the last one that had requests.
    judged: Option<Hour>,
    last: Option<Hour>,
    hours: usize,
    windows: usize,
    rows: usize,
    capital: f64,
    alarm: Option<Alarm>,
    /// The streams at the first alarm, otherwise in the last window.
    streams: Vec<StreamChange>,
    /// The rows of that last hour.
    newest: Vec<Vec<f64>>,
    /// What the estimate is about: rows that lack a distance which others have are not among them.
    scores: Vec<Vec<f64>>,
    /// The certain loss after each of the last hours since the alarm, where it was estimated.
    certain: Vec<Option<f64>>,
    /// What is missing of the hours that are still looked back on.
    missing: BTreeMap<Hour, Missing>,
}

/// What is missing of an hour.
#[derive(Clone, Debug, Default)]
struct Missing {
    /// Rows that could not be compared.
    left_out: usize,
    /// Files that could not be read.
    unread: usize,
    /// Why the first of them could not.
    reasons: Vec<String>,
    /// Files that were written after the hour was judged.
    late: usize,
}

/// What was read of an hour: of many rows some, and which ones chance says, whatever they are. Who reads the same files has the same rows.
#[derive(Debug)]
pub(super) struct Read {
    random: fastrand::Rng,
    rows: Vec<Vec<f64>>,
    /// Rows so far, also those that are not kept.
    found: usize,
    left_out: usize,
    /// Why a file could not be read.
    pub(super) unread: Vec<String>,
}

impl Read {
    pub(super) fn of(hour: Hour) -> Self {
        let random = fastrand::Rng::with_seed(hour.begin().unsigned_abs());
        Self { random, rows: Vec::new(), found: 0, left_out: 0, unread: Vec::new() }
    }

    /// The n-th row is kept with probability [`MOST_ROWS`] / n, in the place of any other one.
    fn keep(&mut self, row: Vec<f64>) {
        self.found += 1;
        if self.rows.len() < MOST_ROWS {
            self.rows.push(row);
        } else if let Some(kept) = self.rows.get_mut(self.random.usize(..self.found)) {
            *kept = row;
        }
    }
}

impl Watch {
    /// Begins with the pictures of a dataset that the version was not trained on, and its answers to them.
    pub(super) async fn begin(
        about: About,
        dataset: &str,
        before: &Before,
        model: &(impl Classify + Sync),
        ink: f32,
    ) -> Result<Self> {
        let Before { shape, classes, known, usual, trained } = before;
        let distance = distance(model, trained, *classes).await?;
        let answers = Answers::of(model, usual, distance.as_ref(), dataset, *classes).await?;
        let streams = Streams::of_requests(*classes, distance.is_some());
        let rows = streams.rows(usual, Some(&answers))?;
        let detector = Detector::new(Reference::new(&streams.all(), &rows, RISK)?, about.no_drift, about.promise)?;
        Ok(Self {
            reference: ReferenceData { digest: about.trained_on, items: known.len(), held_out: usual.len() },
            about,
            shape: *shape,
            classes: *classes,
            numbers: Numbers { ink, logits: answers.logits },
            streams,
            estimator: Estimator::fit(model, distance.as_ref(), usual, &answers).await?,
            accuracy: Measured::by(usual, &answers, 0..usual.len()),
            usual: shares(&rows, *classes),
            seen: Seen::none(detector.start()),
            detector,
            distance,
        })
    }

    pub(super) fn is_about(&self, about: &About) -> bool {
        self.about == *about
    }

    /// What is new among all files from an hour on, hour by hour. A file of an hour that was judged without it is counted and never judged: the hour would
    /// be judged twice, and the second time because of what came.
    pub(super) fn new_of(&mut self, files: Vec<File>, first: Hour) -> Vec<File> {
        let seen = &mut self.seen;
        // a clock that goes back brings no hour back that was forgotten
        let first = seen.first.map_or(first, |before| before.max(first));
        seen.first = Some(first);
        seen.files.retain(|file| file.hour >= first);
        seen.missing.retain(|hour, _| *hour >= first);
        let mut new = Vec::new();
        for file in files {
            if file.hour < first || seen.files.contains(&file) {
                continue;
            }
            if seen.judged.is_some_and(|judged| file.hour <= judged) {
                seen.missing.entry(file.hour).or_default().late += 1;
                seen.files.insert(file);
            } else {
                new.push(file);
            }
        }
        new
    }

    /// Reads samples as rows of the streams.
    pub(super) fn read(&self, samples: &[Sample], read: &mut Read) -> Result<()> {
        let sampled = Sampled::of(samples, self.shape, self.classes, self.numbers, self.distance.as_ref());
        read.left_out += sampled.left_out;
        for row in self.streams.rows(&sampled.pictures, Some(&sampled.answers))? {
            read.keep(row);
        }
        Ok(())
    }

    /// Takes the next hour, with the files that it was read from. It stakes the time since the last hour with requests began, which is known before it, with
    /// its first window. The first hour stakes nothing: what its windows show is only what the next ones may follow. So a detector that begins later has at
    /// most the capital of one that has seen all.
    pub(super) fn take(&mut self, hour: Hour, files: &[File], read: Read) -> Result<()> {
        let Read { rows, left_out, unread, .. } = read;
        let seen = &mut self.seen;
        if !rows.is_empty() {
            let stakes = seen.last.map_or(0, |last| (hour.begin() - last.begin()) / 1000);
            let mut stakes = Duration::from_secs(stakes.max(0).unsigned_abs());
            for window in rows.chunks(WINDOW) {
                let verdict = self.detector.observe(&mut seen.state, window, stakes)?;
                stakes = Duration::ZERO;
                let capital = verdict.evidence.total;
                seen.windows += 1;
                seen.rows += window.len();
                seen.capital = seen.capital.max(capital);
                if seen.alarm.is_none() {
                    seen.streams = verdict.streams.into_iter().map(StreamChange::from).collect();
                    if window.len() < FEWEST_SHOWN {
                        seen.streams.iter_mut().for_each(|stream| stream.seen = None);
                    }
                    if verdict.alarm {
                        seen.alarm = Some(Alarm { after: seen.rows, at: hours::end(hour), capital, from: 0 });
                        // from this hour on the estimate is about what has changed
                        seen.scores.clear();
                    }
                }
            }
            seen.last = Some(hour);
            seen.hours += 1;
            seen.scores.extend(rows.iter().filter_map(|row| self.streams.scores(row)));
            let surplus = seen.scores.len().saturating_sub(NEWEST);
            seen.scores.drain(..surplus);
            seen.newest = rows;
            if seen.alarm.is_some() {
                let loss = lost(self.accuracy, self.estimator.as_ref(), &seen.scores, 0.0)?;
                seen.certain.push(loss.map(|loss| loss.certain));
                let surplus = seen.certain.len().saturating_sub(IN_A_ROW);
                seen.certain.drain(..surplus);
            }
        }
        if left_out > 0 || !unread.is_empty() {
            let missing = seen.missing.entry(hour).or_default();
            missing.left_out += left_out;
            missing.unread += unread.len();
            missing.reasons.extend(unread);
            missing.reasons.truncate(MOST_UNREAD);
        }
        seen.judged = Some(hour);
        seen.files.extend(files.iter().cloned());
        Ok(())
    }

    /// What is said about the hours so far. `labels` are the names of the classes, if they have names.
    pub(super) fn evidence(
        &self,
        dataset: &str,
        labels: &[String],
        head: Option<Digest>,
        monitor: &Monitor,
        now: i64,
    ) -> Result<Evidence> {
        let seen = &self.seen;
        let is_shown = seen.newest.len() >= FEWEST_SHOWN;
        let comparisons = if is_shown { self.detector.reference().compare(&seen.newest)? } else { Vec::new() };
        let change = Change {
            alarm: seen.alarm,
            capital: seen.capital,
            windows: seen.windows,
            observations: seen.rows,
            waiting: 0,
            closes: Some(hours::next(now)),
            untimed: 0,
            promise: self.about.promise.to_string(),
            streams: seen.streams.clone(),
            comparisons,
        };
        let missing = |count: fn(&Missing) -> usize| seen.missing.values().map(count).sum::<usize>();
        let (left_out, unread, late) =
            (missing(|hour| hour.left_out), missing(|hour| hour.unread), missing(|hour| hour.late));
        let label = |class: usize| labels.get(class).cloned().unwrap_or_else(|| class.to_string());
        let mut answers = Vec::new();
        if is_shown {
            let shares = self.usual.iter().zip(shares(&seen.newest, self.classes)).enumerate();
            answers.extend(shares.map(|(class, (usual, new))| ClassShare { label: label(class), usual: *usual, new }));
        }
        let threshold = threshold(monitor);
        let matters = |certain: &&Option<f64>| certain.is_some_and(|certain| certain >= threshold);
        Ok(Evidence {
            dataset: dataset.to_owned(),
            head,
            model: self.about.model.clone(),
            reference: self.reference,
            answers,
            change,
            hours: seen.hours,
            loss: lost(self.accuracy, self.estimator.as_ref(), &seen.scores, threshold)?,
            in_a_row: seen.certain.iter().rev().take_while(matters).count(),
            left_out,
            unread,
            late,
            unknown: self.unknown(left_out, late),
        })
    }

    /// What could not be found out, and why.
    fn unknown(&self, left_out: usize, late: usize) -> Vec<String> {
        let seen = &self.seen;
        let reasons = seen.missing.values().flat_map(|hour| &hour.reasons);
        let mut unknown: Vec<String> = reasons.take(MOST_UNREAD).cloned().collect();
        if left_out > 0 {
            let [height, width] = self.shape;
            let classes = self.classes;
            unknown.push(format!(
                "{left_out} sampled rows are left out: they are no picture of {height} × {width} with an answer for {classes} classes"
            ));
        }
        if late > 0 {
            unknown.push(format!("{late} files came too late: their hours had been judged without them"));
        }
        let scores = seen.scores.len();
        if self.accuracy.is_some() && self.estimator.is_some() && seen.rows > 0 && scores < FEWEST_SCORES {
            let which = if self.distance.is_some() { "requests with features" } else { "requests" };
            unknown.push(format!("not enough {which} yet to estimate what is lost: {scores} of {FEWEST_SCORES}"));
        }
        unknown
    }
}

/// What is lost by the estimate, if there are enough rows for one.
fn lost(
    accuracy: Option<Measured>,
    estimator: Option<&Estimator>,
    scores: &[Vec<f64>],
    threshold: f64,
) -> Result<Option<Loss>> {
    let (Some(accuracy), Some(estimator)) = (accuracy, estimator) else { return Ok(None) };
    if scores.len() < FEWEST_SCORES {
        return Ok(None);
    }
    Ok(Loss::new(accuracy, scores.len(), None, Some(estimator.estimate(scores)?), threshold))
}

impl Seen {
    fn none(state: State) -> Self {
        Self {
            state,
            files: BTreeSet::new(),
            first: None,
            judged: None,
            last: None,
            hours: 0,
            windows: 0,
            rows: 0,
            capital: 0.0,
            alarm: None,
            streams: Vec::new(),
            newest: Vec::new(),
            scores: Vec::new(),
            certain: Vec::new(),
            missing: BTreeMap::new(),
        }
    }
}

/// The share of each class among the predicted ones; zero if there are none.
fn shares(rows: &[Vec<f64>], classes: usize) -> Vec<f64> {
    let mut counts = vec![0_usize; classes];
    for row in rows {
        // the streams hold classes that there are
        counts[row[PREDICTED] as usize] += 1;
    }
    let all = rows.len().max(1) as f64;
    counts.into_iter().map(|count| count as f64 / all).collect()
}

#[cfg(test)]
mod tests;
