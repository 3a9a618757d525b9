//! The detector over the hours of a sample.

use std::collections::BTreeSet;
use std::time::Duration;

use slipway_digest::Digest;
use slipway_drift::{Monitor as Detector, NoDrift, Promise, Reference, State};
use slipway_experiment::Monitor;
use slipway_samples::{File, Hour, Sample};

use super::sampled::Sampled;
use super::{Evidence, hours};
use crate::change::RISK;
use crate::loss::{Estimator, NEWEST, scores_of, threshold};
use crate::material::Before;
use crate::streams::Streams;
use crate::windows::LASTS;
use crate::{Alarm, Answers, Change, ClassShare, Classify, Loss, Measured, Model, ReferenceData, Result, StreamChange};

/// Where the predicted class and the confidence stand in a row of the streams.
const PREDICTED: usize = 0;
const CONFIDENCE: usize = 1;
/// So many files that could not be read are named.
const MOST_UNREAD: usize = 5;

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
    /// The number of a pixel that is all ink.
    ink: f32,
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
    /// What was read, of the hours that are still looked back on.
    files: BTreeSet<File>,
    /// The last hour that had requests.
    last: Option<Hour>,
    windows: usize,
    rows: usize,
    capital: f64,
    alarm: Option<Alarm>,
    /// The streams at the first alarm, otherwise in the last window.
    streams: Vec<StreamChange>,
    /// The rows of that last hour.
    newest: Vec<Vec<f64>>,
    /// What the estimate is about.
    scores: Vec<Vec<f64>>,
    left_out: usize,
    unread: Vec<String>,
}

/// What was read of an hour.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) rows: Vec<Vec<f64>>,
    pub(super) left_out: usize,
    /// Why a file could not be read.
    pub(super) unread: Vec<String>,
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
        let Before { shape, classes, known, usual } = before;
        let answers = Answers::of(model, usual, dataset, *classes).await?;
        let streams = Streams::of_requests(*classes);
        let rows = streams.rows(usual, Some(&answers))?;
        let detector = Detector::new(Reference::new(&streams.all(), &rows, RISK)?, about.no_drift, about.promise)?;
        Ok(Self {
            reference: ReferenceData { digest: about.trained_on, items: known.len(), held_out: usual.len() },
            about,
            shape: *shape,
            classes: *classes,
            ink,
            streams,
            estimator: Estimator::fit(model, usual, &answers).await?,
            accuracy: Measured::by(usual, &answers, 0..usual.len()),
            usual: shares(&rows, *classes),
            seen: Seen::none(detector.start()),
            detector,
        })
    }

    pub(super) fn is_about(&self, about: &About) -> bool {
        self.about == *about
    }

    /// Forgets which files were read before an hour. Gives what is new among all files from that hour on, hour by hour: everything, if a file has come late
    /// into an hour that was judged without it, because who begins anew would judge it with that.
    pub(super) fn new_of(&mut self, files: Vec<File>, first: Hour) -> Vec<File> {
        let known = &mut self.seen.files;
        known.retain(|file| file.hour >= first);
        // all are of one version, so the order of files is that of hours
        let judged = known.last().map(|file| file.hour);
        let new: Vec<File> = files.iter().filter(|file| !known.contains(*file)).cloned().collect();
        if new.iter().any(|file| judged.is_some_and(|judged| file.hour <= judged)) {
            self.seen = Seen::none(self.detector.start());
            return files;
        }
        new
    }

    /// Reads samples as rows of the streams.
    pub(super) fn read(&self, samples: &[Sample], read: &mut Read) -> Result<()> {
        let sampled = Sampled::of(samples, self.shape, self.classes, self.ink);
        read.left_out += sampled.left_out;
        read.rows.extend(self.streams.rows(&sampled.pictures, Some(&sampled.answers))?);
        Ok(())
    }

    /// Takes the next hour, with the files that it was read from. It stakes the time since the last hour with requests began, which is known before it.
    pub(super) fn take(&mut self, hour: Hour, files: &[File], read: Read) -> Result<()> {
        let Read { rows, left_out, unread } = read;
        let seen = &mut self.seen;
        if !rows.is_empty() {
            let stakes = seen.last.map_or(LASTS, |last| (hour.begin() - last.begin()) / 1000);
            let stakes = Duration::from_secs(stakes.max(0).unsigned_abs());
            let verdict = self.detector.observe(&mut seen.state, &rows, stakes)?;
            let capital = verdict.evidence.total;
            seen.last = Some(hour);
            seen.windows += 1;
            seen.rows += rows.len();
            seen.capital = seen.capital.max(capital);
            if seen.alarm.is_none() {
                seen.streams = verdict.streams.into_iter().map(StreamChange::from).collect();
                if verdict.alarm {
                    seen.alarm = Some(Alarm { after: seen.rows, at: hours::end(hour), capital, from: 0 });
                    // from here on the estimate is about what has changed
                    seen.scores.clear();
                }
            }
            seen.scores.extend(rows.iter().map(|row| scores_of(row[CONFIDENCE])));
            let surplus = seen.scores.len().saturating_sub(NEWEST);
            seen.scores.drain(..surplus);
            seen.newest = rows;
        }
        seen.left_out += left_out;
        seen.unread.extend(unread);
        seen.unread.truncate(MOST_UNREAD);
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
        let comparisons =
            if seen.newest.is_empty() { Vec::new() } else { self.detector.reference().compare(&seen.newest)? };
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
        let mut unknown = seen.unread.clone();
        if seen.left_out > 0 {
            let [height, width] = self.shape;
            let (left_out, classes) = (seen.left_out, self.classes);
            unknown.push(format!(
                "{left_out} sampled rows are left out: they are no picture of {height} × {width} with an answer for {classes} classes"
            ));
        }
        let label = |class: usize| labels.get(class).cloned().unwrap_or_else(|| class.to_string());
        let answers = self.usual.iter().zip(shares(&seen.newest, self.classes)).enumerate();
        let answers = answers.map(|(class, (usual, new))| ClassShare { label: label(class), usual: *usual, new });
        Ok(Evidence {
            dataset: dataset.to_owned(),
            head,
            model: self.about.model.clone(),
            reference: self.reference,
            answers: answers.collect(),
            change,
            loss: self.loss(threshold(monitor))?,
            left_out: seen.left_out,
            unknown,
        })
    }

    fn loss(&self, threshold: f64) -> Result<Option<Loss>> {
        let scores = &self.seen.scores;
        let (Some(accuracy), Some(estimator)) = (self.accuracy, &self.estimator) else { return Ok(None) };
        if scores.is_empty() {
            return Ok(None);
        }
        Ok(Loss::new(accuracy, scores.len(), None, Some(estimator.estimate(scores)?), threshold))
    }
}

impl Seen {
    fn none(state: State) -> Self {
        Self {
            state,
            files: BTreeSet::new(),
            last: None,
            windows: 0,
            rows: 0,
            capital: 0.0,
            alarm: None,
            streams: Vec::new(),
            newest: Vec::new(),
            scores: Vec::new(),
            left_out: 0,
            unread: Vec::new(),
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
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::requests::issue;
    use crate::{Decision, Pictures};

    const SHAPE: [usize; 2] = [4, 4];

    /// Says which half is the brighter one, and how much.
    struct Halves;

    impl Classify for Halves {
        async fn probabilities(&self, pictures: &Pictures) -> Result<Answers> {
            let probabilities = pictures.each().flat_map(answer).collect();
            Ok(Answers { classes: 2, probabilities })
        }
    }

    fn answer(levels: &[u8]) -> [f32; 2] {
        let ink = |half: &[u8]| half.iter().map(|level| f32::from(*level)).sum::<f32>() / 2040.0;
        let (first, second) = levels.split_at(levels.len() / 2);
        let first = 1.0 / (1.0 + (-8.0 * (ink(first) - ink(second))).exp());
        [first, 1.0 - first]
    }

    /// A picture whose upper or lower half is dark. Of one picture in five nobody can tell.
    fn picture(number: u64) -> (Vec<u8>, u8) {
        let mut random = fastrand::Rng::with_seed(number);
        let class = random.u8(0..2);
        let is_clear = !number.is_multiple_of(5);
        let levels = (0..16).map(|at| {
            let is_dark = (at < 8) == (class == 0);
            match (is_clear, is_dark) {
                (true, true) => random.u8(150..=250),
                (true, false) => random.u8(0..=60),
                (false, _) => random.u8(110..=120),
            }
        });
        (levels.collect(), class)
    }

    /// A request of such a picture.
    fn request(number: u64) -> Sample {
        let (levels, _) = picture(number);
        let inputs = levels.iter().map(|level| f32::from(*level) / 255.0).collect();
        Sample::new(0, "", 0, 1, inputs, answer(&levels).to_vec())
    }

    fn about() -> About {
        let model = Model { name: "halves".to_owned(), version: 1 };
        About::new(model, Digest::of("before"), &Monitor::undeclared())
    }

    async fn begun() -> Watch {
        let mut usual = Pictures::new(SHAPE);
        for (levels, class) in (0..2000).map(picture) {
            usual.push(&levels, Some(class));
        }
        let before = Before { shape: SHAPE, classes: 2, known: HashSet::new(), usual };
        Watch::begin(about(), "halves", &before, &Halves, 1.0).await.unwrap()
    }

    fn hour(number: i64) -> Hour {
        Hour::of(1_800_000_000_000).after(number)
    }

    fn file(number: i64, unique: &str) -> File {
        let (model, replica, unique) = ("halves".to_owned(), "server-0".to_owned(), unique.to_owned());
        File { model, version: 1, hour: hour(number), first: hour(number).begin(), replica, unique, bytes: 1 }
    }

    fn take(watch: &mut Watch, number: i64, requests: impl Iterator<Item = u64>) {
        let samples: Vec<Sample> = requests.map(request).collect();
        let mut read = Read::default();
        watch.read(&samples, &mut read).unwrap();
        watch.take(hour(number), &[file(number, "a")], read).unwrap();
    }

    fn said(watch: &Watch) -> Evidence {
        let now = hour(1000).begin() / 1000;
        watch.evidence("halves", &["up".to_owned(), "down".to_owned()], None, &Monitor::undeclared(), now).unwrap()
    }

    #[tokio::test]
    async fn requests_like_the_reference_are_no_alarm_and_lose_nothing() {
        let mut watch = begun().await;
        for number in 0..24 {
            let first = 10_000 + 50 * number;
            take(&mut watch, number as i64, first..first + 50);
        }
        let Evidence { change, loss, answers, unknown, .. } = said(&watch);
        assert!(change.alarm.is_none() && change.capital < 0.1, "{change:?}");
        assert_eq!((change.windows, change.observations, change.waiting), (24, 1200, 0));
        let loss = loss.unwrap();
        assert!(!loss.matters && loss.measured.is_none() && loss.items == 1200, "{loss:?}");
        assert!((loss.reference.accuracy - 0.9).abs() < 0.03 && loss.loss.abs() < 0.05, "{loss:?}");
        assert_eq!((answers[0].label.as_str(), unknown.len()), ("up", 0));
    }

    #[tokio::test]
    async fn requests_that_nobody_can_tell_are_an_alarm_and_the_estimate_falls() {
        let mut watch = begun().await;
        take(&mut watch, 0, 10_000..10_100);
        assert!(said(&watch).change.alarm.is_none());
        for number in 1..4 {
            take(&mut watch, number, (0..200).map(|other| 100_000 + 1000 * number as u64 + 5 * other));
        }
        let decision = Decision::Issue { why: "the requests have changed".to_owned() };
        let (title, body) = issue(&said(&watch), &decision);
        assert_eq!(title, "The requests to the version trained on halves have changed");
        for said in
            ["The requests have changed.", "700 rows in 4 hours", "estimated without labels", "slipway drift halves"]
        {
            assert!(body.contains(said), "no {said} in {body}");
        }
        let Evidence { change, loss, .. } = said(&watch);
        let alarm = change.alarm.unwrap();
        assert_eq!((alarm.after, alarm.at), (300, hour(2).begin() / 1000), "{change:?}");
        let loss = loss.unwrap();
        assert!(loss.matters && loss.certain > 0.1 && loss.items == 600, "{loss:?}");
        assert!((loss.estimated.unwrap().accuracy - 0.5).abs() < 0.15, "{loss:?}");
        assert!(!change.comparisons.is_empty());
    }

    #[tokio::test]
    async fn no_hour_is_taken_twice_and_what_came_late_makes_it_begin_anew() {
        let mut watch = begun().await;
        let files = |numbers: &[i64]| numbers.iter().map(|number| file(*number, "a")).collect::<Vec<File>>();
        assert_eq!(watch.new_of(files(&[0, 1]), hour(-9)), files(&[0, 1]));
        take(&mut watch, 0, 0..10);
        take(&mut watch, 1, 10..20);
        // what is older than it is looked back is not missed
        assert_eq!(watch.new_of(files(&[1, 2]), hour(1)), files(&[2]));
        assert_eq!(said(&watch).change.windows, 2);
        let late = vec![file(1, "a"), file(1, "b"), file(2, "a")];
        assert_eq!(watch.new_of(late.clone(), hour(1)), late);
        assert_eq!(said(&watch).change.windows, 0);
        // who begins anew comes to the same as who has seen all
        let mut other = begun().await;
        for watch in [&mut watch, &mut other] {
            take(watch, 1, 10..20);
            take(watch, 4, 20..40);
        }
        assert_eq!(said(&watch), said(&other));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_left_out_and_said() {
        let mut watch = begun().await;
        let mut read = Read { unread: vec!["a file".to_owned()], ..Read::default() };
        let other = Sample::new(0, "", 0, 1, vec![0.0; 9], vec![0.5, 0.5]);
        watch.read(&[request(1), other], &mut read).unwrap();
        watch.take(hour(0), &[file(0, "a")], read).unwrap();
        let Evidence { change, left_out, unknown, .. } = said(&watch);
        assert_eq!((change.observations, left_out), (1, 1));
        assert_eq!(
            unknown,
            ["a file", "1 sampled rows are left out: they are no picture of 4 × 4 with an answer for 2 classes"]
        );
        let more = Monitor { dispersion: 3_000_000, ..Monitor::undeclared() };
        assert!(watch.is_about(&about()) && !watch.is_about(&About::new(about().model, about().trained_on, &more)));
    }
}
