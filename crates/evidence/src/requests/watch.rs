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
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::requests::issue;
    use crate::{Decision, Pictures};

    const SHAPE: [usize; 2] = [4, 4];

    /// Says which half is the brighter one, and how much.
    struct Halves;

    impl Classify for Halves {
        async fn features(&self, _: &Pictures) -> Result<Option<Vec<Vec<f32>>>> {
            Ok(None)
        }

        async fn answers(&self, pictures: &Pictures, _: Option<&Distance>) -> Result<Answers> {
            let probabilities = pictures.each().flat_map(answer).collect();
            Ok(Answers { classes: 2, probabilities, ..Answers::default() })
        }
    }

    /// The same with a feature, which alone says whether the answer can be trusted: see [`marked`].
    struct Marked;

    impl Classify for Marked {
        async fn features(&self, pictures: &Pictures) -> Result<Option<Vec<Vec<f32>>>> {
            Ok(Some(pictures.each().map(|levels| features(levels, is_marked(levels))).collect()))
        }

        async fn answers(&self, pictures: &Pictures, distance: Option<&Distance>) -> Result<Answers> {
            let mut answers = Halves.answers(pictures, None).await?;
            for levels in pictures.each() {
                if let Some(distance) = distance {
                    answers.distances.push(distance.of(&features(levels, is_marked(levels)))?);
                }
            }
            Ok(answers)
        }
    }

    /// One picture in five is marked, which no statistic of it shows.
    fn is_marked(levels: &[u8]) -> bool {
        levels[0].is_multiple_of(5)
    }

    fn features(levels: &[u8], is_marked: bool) -> Vec<f32> {
        let mark = if is_marked { 4.0 } else { 0.0 };
        vec![mark + f32::from(levels[2]) / 1275.0]
    }

    /// A picture that everybody can tell. Of those that are marked, every second one has the wrong label.
    fn marked(number: u64) -> (Vec<u8>, u8) {
        let (levels, class) = picture(5 * number + 1);
        let is_wrong = is_marked(&levels) && levels[1] % 2 == 1;
        (levels, class ^ u8::from(is_wrong))
    }

    /// A request of such a picture, with the feature of one that is marked or not; `None` for what the picture has.
    fn marked_request(number: u64, is_so: Option<bool>) -> Sample {
        let levels = marked(number).0;
        let features = features(&levels, is_so.unwrap_or_else(|| is_marked(&levels)));
        request(5 * number + 1).with_features(features)
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
        begun_with(&Halves, picture).await
    }

    async fn begun_with(model: &(impl Classify + Sync), make: fn(u64) -> (Vec<u8>, u8)) -> Watch {
        let pictures = |numbers: std::ops::Range<u64>| {
            let mut pictures = Pictures::new(SHAPE);
            for (levels, class) in numbers.map(make) {
                pictures.push(&levels, Some(class));
            }
            pictures
        };
        let (usual, trained) = (pictures(0..2000), pictures(500_000..500_600));
        let before = Before { shape: SHAPE, classes: 2, known: HashSet::new(), usual, trained };
        Watch::begin(about(), "halves", &before, model, 1.0).await.unwrap()
    }

    fn hour(number: i64) -> Hour {
        Hour::of(1_800_000_000_000).after(number)
    }

    fn file(number: i64, unique: &str) -> File {
        let (model, replica, unique) = ("halves".to_owned(), "server-0".to_owned(), unique.to_owned());
        File { model, version: 1, hour: hour(number), first: hour(number).begin(), replica, unique, bytes: 1 }
    }

    fn take(watch: &mut Watch, number: i64, requests: impl Iterator<Item = u64>) {
        take_samples(watch, number, &requests.map(request).collect::<Vec<Sample>>());
    }

    fn take_samples(watch: &mut Watch, number: i64, samples: &[Sample]) {
        let mut read = Read::of(hour(number));
        watch.read(samples, &mut read).unwrap();
        watch.take(hour(number), &[file(number, "a")], read).unwrap();
    }

    fn said(watch: &Watch) -> Evidence {
        let now = hour(1000).begin() / 1000;
        watch.evidence("halves", &["up".to_owned(), "down".to_owned()], None, &Monitor::undeclared(), now).unwrap()
    }

    /// Requests of an hour that nobody can tell.
    fn faint(number: i64) -> impl Iterator<Item = u64> {
        let first = 100_000 + 1000 * number.unsigned_abs();
        (0..200).map(move |other| first + 5 * other)
    }

    #[tokio::test]
    async fn requests_like_the_reference_are_no_alarm_and_lose_nothing() {
        let mut watch = begun().await;
        for number in 0..24 {
            let first = 10_000 + 50 * number;
            take(&mut watch, number as i64, first..first + 50);
        }
        let Evidence { change, loss, answers, unknown, hours, .. } = said(&watch);
        assert_eq!(hours, 24);
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
            take(&mut watch, number, faint(number));
            assert_eq!(said(&watch).in_a_row, number.unsigned_abs() as usize);
        }
        let decision = Decision::Issue { why: "the requests have changed".to_owned() };
        let (title, body) = issue(&said(&watch), &decision, true);
        assert_eq!(title, "The requests to the version trained on halves have changed");
        for said in
            ["The requests have changed.", "700 rows in 4 hours", "estimated without labels", "slipway drift halves"]
        {
            assert!(body.contains(said), "no {said} in {body}");
        }
        let Evidence { change, loss, .. } = said(&watch);
        let alarm = change.alarm.unwrap();
        // in one of the windows of the first hour that has bets
        assert!((150..=300).contains(&alarm.after) && alarm.at == hour(2).begin() / 1000, "{change:?}");
        assert_eq!((change.windows, change.observations), (14, 700));
        let loss = loss.unwrap();
        assert!(loss.matters && loss.certain > 0.1 && loss.items == 600, "{loss:?}");
        assert!((loss.estimated.unwrap().accuracy - 0.5).abs() < 0.15, "{loss:?}");
        assert!(!change.comparisons.is_empty());
    }

    #[tokio::test]
    async fn features_that_have_changed_are_noticed_and_make_the_estimate_fall_although_nothing_else_has() {
        let mut watch = begun_with(&Marked, marked).await;
        let mut without = begun_with(&Halves, marked).await;
        let requests = |numbers: std::ops::Range<u64>, is_so: Option<bool>| -> Vec<Sample> {
            numbers.map(|number| marked_request(number, is_so)).collect()
        };
        for watch in [&mut watch, &mut without] {
            take_samples(watch, 0, &requests(10_000..10_100, None));
            take_samples(watch, 1, &requests(10_100..10_200, None));
        }
        let Evidence { change, loss, .. } = said(&watch);
        assert!(change.alarm.is_none() && change.comparisons.iter().any(|one| one.stream == "distance"), "{change:?}");
        assert!(!loss.unwrap().matters, "{loss:?}");
        for watch in [&mut watch, &mut without] {
            take_samples(watch, 2, &requests(10_200..10_400, Some(true)));
        }
        let Evidence { change, loss, .. } = said(&watch);
        assert!((201..=300).contains(&change.alarm.unwrap().after), "{change:?}");
        let first = &change.streams[0];
        assert!(first.stream == "distance" && first.event.starts_with("above") && first.share > 0.9, "{first:?}");
        let loss = loss.unwrap();
        assert!(loss.matters && loss.certain > 0.1 && loss.items == 200, "{loss:?}");
        assert!((loss.estimated.unwrap().accuracy - 0.5).abs() < 0.15, "{loss:?}");
        // who does not know the features has seen nothing
        let Evidence { change, loss, .. } = said(&without);
        assert!(change.alarm.is_none() && change.comparisons.iter().all(|one| one.stream != "distance"), "{change:?}");
        assert!(!loss.unwrap().matters, "{loss:?}");
    }

    #[tokio::test]
    async fn rows_without_features_count_for_all_but_their_distance_and_the_estimate() {
        let mut watch = begun_with(&Marked, marked).await;
        // of a server that did not keep any yet
        for number in 0..2_i64 {
            let first = 20_000 + 100 * number.unsigned_abs();
            let samples: Vec<Sample> =
                (first..first + 100).map(|number| Sample { features: None, ..marked_request(number, None) }).collect();
            take_samples(&mut watch, number, &samples);
        }
        let Evidence { change, loss, unknown, left_out, .. } = said(&watch);
        let distance = change.streams.iter().find(|one| one.stream == "distance").unwrap();
        assert!(distance.seen.is_none() && change.alarm.is_none(), "{change:?}");
        assert_eq!((change.observations, left_out, loss), (200, 0, None));
        assert_eq!(unknown, ["not enough requests with features yet to estimate what is lost: 0 of 100"]);
        // in one hour with those of its successor
        let samples: Vec<Sample> = (30_000..30_240)
            .map(|number: u64| {
                let sample = marked_request(number, None);
                if number.is_multiple_of(2) { Sample { features: None, ..sample } } else { sample }
            })
            .collect();
        take_samples(&mut watch, 2, &samples);
        let Evidence { change, loss, unknown, .. } = said(&watch);
        assert!(change.alarm.is_none() && change.observations == 440, "{change:?}");
        assert_eq!((loss.unwrap().items, unknown.len()), (120, 0));
    }

    #[tokio::test]
    async fn who_begins_later_has_at_most_the_capital_of_who_saw_all() {
        // the first hour has no bets, whatever it shows
        let mut watch = begun().await;
        take(&mut watch, 0, faint(0));
        assert_eq!(said(&watch).change.capital, 0.0);
        // what changes is in the last window before the other one begins, so its price is not that of a usual window
        let mut all = begun().await;
        let mut later = begun().await;
        take(&mut all, 0, 10_000..10_100);
        for number in 1..5_i64 {
            // one in two instead of one in five
            let first = 200_000 + 1000 * number.unsigned_abs();
            for watch in [&mut all, &mut later] {
                take(watch, number, (0..40).map(move |other| first + 5 * (other / 2) + other % 2));
            }
            let [all, later] = [&all, &later].map(|watch| said(watch).change.capital);
            assert!(later <= all, "{number}: {later} of {all}");
        }
        assert!(said(&later).change.capital > 0.0);
    }

    #[tokio::test]
    async fn an_hour_has_so_many_rows_at_most_and_the_same_ones_again() {
        let (mut watch, mut other) = (begun().await, begun().await);
        for watch in [&mut watch, &mut other] {
            take(watch, 0, 10_000..12_000);
        }
        let change = said(&watch).change;
        assert_eq!((change.windows, change.observations), (10, 500));
        assert_eq!(said(&watch), said(&other));
        // any of them, not the first ones
        let mut first = begun().await;
        take(&mut first, 0, 10_000..10_500);
        assert_ne!(said(&watch).change.comparisons, said(&first).change.comparisons);
    }

    #[tokio::test]
    async fn few_rows_are_neither_estimated_nor_described() {
        let mut watch = begun().await;
        take(&mut watch, 0, 10_000..10_019);
        let Evidence { change, answers, loss, unknown, .. } = said(&watch);
        assert!(answers.is_empty() && change.comparisons.is_empty() && loss.is_none());
        assert!(change.streams.iter().all(|stream| stream.seen.is_none()), "{:?}", change.streams);
        assert_eq!(unknown, ["not enough requests yet to estimate what is lost: 19 of 100"]);
        take(&mut watch, 1, 10_100..10_181);
        let Evidence { answers, loss, unknown, in_a_row, .. } = said(&watch);
        assert_eq!((answers.len(), loss.unwrap().items, unknown.len(), in_a_row), (2, 100, 0, 0));
    }

    #[tokio::test]
    async fn no_hour_is_taken_twice_and_what_came_late_is_counted() {
        let mut watch = begun().await;
        let files = |numbers: &[i64]| numbers.iter().map(|number| file(*number, "a")).collect::<Vec<File>>();
        assert_eq!(watch.new_of(files(&[0, 1]), hour(-9)), files(&[0, 1]));
        take(&mut watch, 0, 0..10);
        take(&mut watch, 1, 10..20);
        // what is older than it is looked back is not missed
        assert_eq!(watch.new_of(files(&[1, 2]), hour(1)), files(&[2]));
        // one of an hour that was judged is not judged, and counted once
        for _ in 0..2 {
            let late = vec![file(1, "a"), file(1, "b"), file(2, "a")];
            assert_eq!(watch.new_of(late, hour(1)), files(&[2]));
            let Evidence { hours, late, unknown, .. } = said(&watch);
            assert_eq!((hours, late), (2, 1));
            assert_eq!(unknown[0], "1 files came too late: their hours had been judged without them");
        }
        // a clock that goes back
        assert_eq!(watch.new_of(files(&[0, 1, 2]), hour(-9)), files(&[2]));
        assert_eq!(said(&watch).late, 1);
        // what is said is about the hours that are looked back on
        assert!(watch.new_of(Vec::new(), hour(2)).is_empty());
        assert_eq!(said(&watch).late, 0);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_left_out_and_said() {
        let mut watch = begun().await;
        let mut read = Read::of(hour(0));
        read.unread.push("a file".to_owned());
        let other = Sample::new(0, "", 0, 1, vec![0.0; 9], vec![0.5, 0.5]);
        watch.read(&[request(1), other], &mut read).unwrap();
        watch.take(hour(0), &[file(0, "a")], read).unwrap();
        let Evidence { change, left_out, unread, unknown, .. } = said(&watch);
        assert_eq!((change.observations, left_out, unread), (1, 1, 1));
        assert_eq!(
            unknown[..2],
            ["a file", "1 sampled rows are left out: they are no picture of 4 × 4 with an answer for 2 classes"]
        );
        let more = Monitor { dispersion: 3_000_000, ..Monitor::undeclared() };
        assert!(watch.is_about(&about()) && !watch.is_about(&About::new(about().model, about().trained_on, &more)));
    }
}
