//! Evidence and decisions about pictures of bars, with a model that knows where bars are.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use slipway_corruptions::{Corruption, PIXELS, SIDE};
use slipway_dataset::{Blob, Digest};
use slipway_drift::Distance;
use slipway_evidence::{
    Answers, Basis, Classify, Decision, Evidence, Feed, Hold, Material, Model, PastRetraining, Pictures, Reason,
    Result, Served, Situation, decide, examine, issue, pull_request,
};
use slipway_experiment::{Monitor, parse_dataset};
use slipway_pipeline::{Counts, Report, SetAsideReport};

/// Classes: where a bar of four rows is.
const CLASSES: usize = 5;
const NOW: i64 = 1_800_000_000;

/// A bar of a class, another one for each number.
fn bar(class: u8, number: u64) -> [u8; PIXELS] {
    let mut random = fastrand::Rng::with_seed(number);
    let top = 2 + usize::from(class) * 5;
    let left = random.usize(2..6);
    std::array::from_fn(|at| {
        let (row, column) = (at / SIDE, at % SIDE);
        let is_ink = (top..top + 4).contains(&row) && (left..left + 18).contains(&column);
        if is_ink { random.u8(180..=255) } else { 0 }
    })
}

fn bars(numbers: std::ops::Range<u64>, make: impl Fn(u8, u64) -> [u8; PIXELS]) -> Pictures {
    let mut pictures = Pictures::new([SIDE, SIDE]);
    for number in numbers {
        let class = (number % CLASSES as u64) as u8;
        pictures.push(&make(class, number), Some(class));
    }
    pictures
}

/// Sure of the class whose rows have most ink.
struct Rows;

impl Classify for Rows {
    async fn features(&self, _: &Pictures) -> Result<Option<Vec<Vec<f32>>>> {
        Ok(None)
    }

    async fn answers(&self, pictures: &Pictures, _: Option<&Distance>) -> Result<Answers> {
        let mut probabilities = Vec::new();
        for levels in pictures.each() {
            let ink = |class: usize| {
                let top = 2 + class * 5;
                levels[top * SIDE..(top + 4) * SIDE].iter().map(|level| f32::from(*level)).sum::<f32>() / 5000.0
            };
            let all: Vec<f32> = (0..CLASSES).map(|class| ink(class).exp()).collect();
            let sum: f32 = all.iter().sum();
            probabilities.extend(all.iter().map(|one| one / sum));
        }
        Ok(Answers { classes: CLASSES, probabilities, ..Answers::default() })
    }
}

/// The same with a feature, by which one picture in five is another one. Nothing else shows that.
struct Marked;

impl Classify for Marked {
    async fn features(&self, pictures: &Pictures) -> Result<Option<Vec<Vec<f32>>>> {
        Ok(Some(pictures.each().map(features).collect()))
    }

    async fn answers(&self, pictures: &Pictures, distance: Option<&Distance>) -> Result<Answers> {
        let mut answers = Rows.answers(pictures, None).await?;
        if let Some(distance) = distance {
            let found = pictures.each().map(|levels| distance.of(&features(levels)));
            answers.distances = found.collect::<Result<_, _>>()?;
        }
        Ok(answers)
    }
}

fn is_marked(levels: &[u8]) -> bool {
    levels.iter().map(|level| u32::from(*level)).sum::<u32>().is_multiple_of(5)
}

fn features(levels: &[u8]) -> Vec<f32> {
    let ink: f32 = levels.iter().map(|level| f32::from(*level)).sum();
    let mark = if is_marked(levels) { 4.0 } else { 0.0 };
    vec![mark + ink / 100_000.0]
}

fn material(new: Pictures) -> Material {
    let report = Report {
        dataset: "bars".to_owned(),
        manifest: Digest::of("head"),
        items: 3,
        counts: Counts { train: 1, validation: 1, test: 1 },
        set_aside: SetAsideReport {
            count: 0,
            reasons: Vec::new(),
            first: Vec::new(),
            list: Blob { digest: Digest::of(""), size: 0 },
        },
        classes: Vec::new(),
        mean: None,
        variance: None,
        short: Vec::new(),
    };
    let count = new.len();
    Material {
        dataset: "bars".to_owned(),
        labels: Vec::new(),
        classes: CLASSES,
        head: Digest::of("head"),
        report,
        basis: Basis { trained_on: Digest::of("before"), pinned: Some(Digest::of("before")) },
        known: 2000,
        usual: bars(0..1000, bar),
        trained: bars(50_000..50_600, bar),
        new,
        earlier: 0,
        before: None,
        items: (0..count).map(|number| format!("s3://landing/bars/|{number}.png")).collect(),
        times: vec![NOW - 100; count],
        unpinned: count,
        feed: Feed::default(),
    }
}

/// The monitor of a declaration.
fn monitor(text: &str) -> Monitor {
    let text = format!(
        "{{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {{name: bars}}, spec: {{source: {{idx: {{images: a, labels: b}}}}, classes: 5, \
         shape: [28, 28], split: {{validation: 0.1, test: 0.1, seed: 0}}, pipeline: {{}}, monitor: {text}}}}}"
    );
    parse_dataset("d", &text).unwrap().spec.monitor.unwrap()
}

const RETRAIN: &str = "{retrain: {experiments: [a], newLabelled: 500}}";

async fn evidence(new: Pictures) -> Evidence {
    let model = Model { name: "bars".to_owned(), version: 3 };
    examine(&material(new), Some((model, &Rows)), &monitor(RETRAIN), NOW).await.unwrap()
}

fn decided(evidence: &Evidence, declared: &str, past: &[PastRetraining]) -> Decision {
    let situation =
        Situation { monitor: &monitor(declared), pinned: Some(Digest::of("before")), now: NOW, past, of_head: None };
    decide(&situation, evidence)
}

fn shifted(class: u8, number: u64) -> [u8; PIXELS] {
    Corruption::Translate.apply(&bar(class, number), 1.0, number)
}

#[tokio::test]
async fn what_is_like_the_reference_changes_nothing() {
    let evidence = evidence(bars(5000..5300, bar)).await;
    assert!(evidence.change.alarm.is_none() && evidence.change.capital < 0.1, "{:?}", evidence.change.capital);
    assert_eq!((evidence.change.windows, evidence.change.observations, evidence.change.waiting), (6, 300, 0));
    let loss = evidence.loss.unwrap();
    assert!(!loss.matters && loss.loss.abs() < 0.01, "{loss:?}");
    let estimated = loss.estimated.unwrap();
    assert!(estimated.learned && (estimated.accuracy - 1.0).abs() < 0.05, "{estimated:?}");
    assert!(evidence.unknown.is_empty(), "{:?}", evidence.unknown);
    let nothing = decided(&self::evidence(bars(5000..5300, bar)).await, RETRAIN, &[]);
    assert!(matches!(nothing, Decision::Nothing { .. }), "{nothing:?}");
}

#[tokio::test]
async fn what_has_changed_and_matters_is_retrained_unless_it_is_held_back() {
    let evidence = evidence(bars(5000..5200, shifted)).await;
    let alarm = evidence.change.alarm.unwrap();
    assert!(alarm.after <= 100, "{alarm:?}");
    let loss = evidence.loss.unwrap();
    assert!(loss.matters && loss.certain > 0.05 && loss.measured.unwrap().accuracy < 0.9, "{loss:?}");
    // the detector's first stream is about places, and the statistics agree
    let offset = evidence.change.comparisons.iter().find(|one| one.stream == "offset").unwrap();
    assert!(offset.kolmogorov_smirnov.unwrap().p_value < 1e-6, "{offset:?}");
    let chosen = decided(&evidence, RETRAIN, &[]);
    assert!(matches!(chosen, Decision::Retrain { reason: Reason::Drift, .. }), "{chosen:?}");

    let past = |hours: i64| PastRetraining { number: 7, opened_at: Some(NOW - hours * 3600) };
    let held_until = |declared: &str, past: &[PastRetraining]| match decided(&evidence, declared, past) {
        Decision::HeldBack { retrain: true, by, until, .. } => (by, until),
        other => panic!("{other:?}"),
    };
    let held = |declared: &str, past: &[PastRetraining]| held_until(declared, past).0;
    assert_eq!(held_until(RETRAIN, &[past(23)]).1, Some(NOW + 3600));
    let month = NOW + 720 * 3600;
    let three = [past(25), past(26), past(700)];
    assert_eq!(held_until("{budget: 2, retrain: {experiments: [a]}}", &three).1, Some(month - 26 * 3600));
    assert_eq!(held_until("{budget: 0, retrain: {experiments: [a]}}", &[]), (Hold::Budget, None));
    assert_eq!(held(RETRAIN, &[past(23)]), Hold::Cooldown);
    assert_eq!(held(RETRAIN, &[PastRetraining { number: 7, opened_at: None }]), Hold::Cooldown);
    assert_eq!(held("{budget: 2, retrain: {experiments: [a]}}", &[past(25), past(700)]), Hold::Budget);
    assert_eq!(held("{enabled: false, retrain: {experiments: [a]}}", &[past(1)]), Hold::Switch);
    assert!(matches!(
        decided(&evidence, "{budget: 2, retrain: {experiments: [a]}}", &[past(25), past(721)]),
        Decision::Retrain { .. }
    ));
    // without an experiment it is a person's question
    assert!(matches!(decided(&evidence, "{}", &[]), Decision::Issue { .. }));

    let situation = Situation {
        monitor: &monitor(RETRAIN),
        pinned: Some(Digest::of("before")),
        now: NOW,
        past: &[past(1)],
        of_head: Some(7),
    };
    assert!(matches!(decide(&situation, &evidence), Decision::Opened { number: 7, .. }));
    let pinned = Situation { pinned: Some(Digest::of("head")), ..situation };
    assert!(matches!(decide(&pinned, &evidence), Decision::Nothing { .. }));
}

#[tokio::test]
async fn features_that_have_changed_are_noticed_although_nothing_else_has() {
    let mut marked = Pictures::new([SIDE, SIDE]);
    let all = bars(5000..8000, bar);
    for (levels, label) in all.each().zip(&all.labels).filter(|(levels, _)| is_marked(levels)).take(200) {
        marked.push(levels, *label);
    }
    assert_eq!(marked.len(), 200);
    let model = || Model { name: "bars".to_owned(), version: 3 };
    let material = material(marked);
    let evidence = examine(&material, Some((model(), &Marked)), &monitor(RETRAIN), NOW).await.unwrap();
    let change = &evidence.change;
    assert!(change.alarm.is_some_and(|alarm| alarm.after == 50), "{change:?}");
    let first = &change.streams[0];
    assert!(first.stream == "distance" && first.event.starts_with("above") && first.share > 0.9, "{first:?}");
    // labels say that nothing is lost, and the estimate has it as well
    let loss = evidence.loss.unwrap();
    assert!(!loss.matters && loss.estimated.unwrap().learned, "{loss:?}");
    assert!(matches!(decided(&evidence, RETRAIN, &[]), Decision::Issue { .. }));
    // what gives no features has the streams that it always had
    let without = examine(&material, Some((model(), &Rows)), &monitor(RETRAIN), NOW).await.unwrap();
    assert!(without.change.alarm.is_none(), "{:?}", without.change);
    assert_eq!(without.change.streams.len() + 1, change.streams.len());
    // nor does what is like the reference
    let material = self::material(bars(5000..5300, bar));
    let usual = examine(&material, Some((model(), &Marked)), &monitor(RETRAIN), NOW).await.unwrap();
    assert!(usual.change.alarm.is_none() && usual.change.capital < 0.1, "{:?}", usual.change.capital);
    assert!(usual.change.comparisons.iter().any(|one| one.stream == "distance"));
    // fewer pictures than they have features say nothing of where those lie
    let few = Material { trained: bars(0..1, bar), ..material };
    let few = examine(&few, Some((model(), &Marked)), &monitor(RETRAIN), NOW).await.unwrap();
    assert!(few.change.streams.iter().all(|one| one.stream != "distance"), "{:?}", few.change);
    assert!(few.unknown.is_empty(), "{:?}", few.unknown);
}

#[tokio::test]
async fn enough_new_data_is_a_reason_by_itself() {
    let evidence = evidence(bars(5000..5500, bar)).await;
    let chosen = decided(&evidence, RETRAIN, &[]);
    assert!(matches!(chosen, Decision::Retrain { reason: Reason::NewData, .. }), "{chosen:?}");
    let more = decided(&evidence, "{retrain: {experiments: [a], newLabelled: 501}}", &[]);
    assert!(matches!(more, Decision::Nothing { .. }), "{more:?}");
}

#[tokio::test]
async fn without_a_model_it_is_said_what_is_not_known() {
    let material = material(bars(5000..5200, shifted));
    let evidence = examine(&material, None::<(Model, &Rows)>, &monitor(RETRAIN), NOW).await.unwrap();
    assert!(evidence.change.alarm.is_some() && evidence.loss.is_none() && evidence.unknown.len() == 1);
    let chosen = decided(&evidence, RETRAIN, &[]);
    assert!(matches!(&chosen, Decision::Issue { why } if why.contains("not known")), "{chosen:?}");
    // nobody listens there
    let model = Model { name: "bars".to_owned(), version: 3 };
    let away = Served::new("http://127.0.0.1:1", "bars", 3).unwrap();
    let evidence = examine(&material, Some((model, &away)), &monitor(RETRAIN), NOW).await.unwrap();
    assert!(evidence.unknown[0].contains("127.0.0.1:1") && evidence.model.is_none(), "{:?}", evidence.unknown);
    // it is waited for: without its answers the detector is another one
    assert_eq!(evidence.silent, Some(NOW));
    let held = decided(&evidence, RETRAIN, &[]);
    assert!(
        matches!(held, Decision::HeldBack { retrain: false, by: Hold::Silence, until: Some(until), .. } if until == NOW + 600),
        "{held:?}"
    );
    let late = Evidence { silent: Some(NOW - 600), ..evidence };
    let chosen = decided(&late, RETRAIN, &[]);
    assert!(matches!(&chosen, Decision::Issue { why } if why.contains("has not answered for 10 min")), "{chosen:?}");
}

#[tokio::test]
async fn what_has_no_time_is_in_no_window_and_counts_for_the_loss() {
    let mut material = material(bars(5000..5200, shifted));
    material.times = vec![0; 200];
    let model = Model { name: "bars".to_owned(), version: 3 };
    let evidence = examine(&material, Some((model, &Rows)), &monitor(RETRAIN), NOW).await.unwrap();
    let change = &evidence.change;
    assert!(change.alarm.is_none() && change.windows == 0 && change.closes.is_none(), "{change:?}");
    assert_eq!((change.untimed, change.waiting, evidence.new), (200, 0, 200));
    let loss = evidence.loss.unwrap();
    assert!(loss.matters && loss.items == 200, "{loss:?}");
}

#[tokio::test]
async fn a_loss_of_today_is_not_lost_among_what_was_well() {
    let mut new = bars(5000..9000, bar);
    for (levels, label) in bars(9000..9200, shifted).each().zip(0..) {
        new.push(levels, Some((label % CLASSES) as u8));
    }
    let mut material = material(new);
    // an hour has fifty
    material.times = (0..4200_i64).map(|number| NOW - 400_000 + number * 72).collect();
    let model = Model { name: "bars".to_owned(), version: 3 };
    let evidence = examine(&material, Some((model, &Rows)), &monitor(RETRAIN), NOW).await.unwrap();
    let alarm = evidence.change.alarm.unwrap();
    assert!(alarm.from >= 4000, "{alarm:?}");
    let loss = evidence.loss.unwrap();
    assert!(loss.matters && loss.items == 4200 - alarm.from, "{loss:?}");
    assert!(matches!(decided(&evidence, RETRAIN, &[]), Decision::Retrain { reason: Reason::Drift, .. }));
}

#[tokio::test]
async fn a_pull_request_says_it_in_pictures_and_nothing_in_it_has_an_effect() {
    let mut material = material(bars(5000..5200, shifted));
    for item in &mut material.items {
        *item = "s3://landing/bars/<b>@octo|`x`\n.png".to_owned();
    }
    let model = Model { name: "bars".to_owned(), version: 3 };
    let evidence = examine(&material, Some((model, &Rows)), &monitor(RETRAIN), NOW).await.unwrap();
    let decision = decided(&evidence, RETRAIN, &[]);
    let shown = pull_request(&evidence, &decision, true);
    let hidden = pull_request(&evidence, &decision, false);
    assert!(shown.contains('█') && !hidden.contains('█'), "{hidden}");
    for text in [&shown, &hidden] {
        assert!(text.contains("```mermaid") && text.contains("has it changed?"), "{text}");
        // in code, with nothing that ends it
        assert!(!text.contains("<b>") && !text.contains("| @octo"), "{text}");
        assert!(text.len() < 20_000, "{}", text.len());
    }
    let (title, body) = issue(&evidence, &decision, true);
    assert_eq!(title, "The data of bars have changed");
    assert!(body.contains("slipway drift bars"), "{body}");
    // the same numbers give the same text, and are data as well
    assert_eq!(pull_request(&evidence, &decision, true), shown);
    let json = serde_json::to_value(&evidence).unwrap();
    assert!(json["change"]["alarm"]["after"].is_u64() && json["loss"]["matters"] == true, "{json}");
    assert!(json["loudest"][0]["item"].is_string() && json.get("pictures").is_none());
}
