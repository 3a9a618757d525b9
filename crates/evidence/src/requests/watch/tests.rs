//! The detector over hours of requests that are made up: pictures of which everybody can tell the class, and some of which nobody can.

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
