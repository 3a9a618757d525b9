//! What lands becomes one pull request for a digest, by an event or by a poll, whatever becomes of the events.

use std::time::Duration;

use axum::http::StatusCode;
use slipway_dataset::Digest;
use slipway_evidence::{Decision, Hold, Reason};
use slipway_experiment::{Monitor, Opens, Requests, parse, parse_dataset};
use slipway_forge::PullRequestState;
use slipway_proposal::{Retraining, is_retraining_of, retrain_branch};

use crate::pictures::{darker, inverted, picture};
use crate::world::{OFTEN, RARELY, World};

fn has_opened(state: &slipway_dataset_monitor::watched::DatasetState) -> bool {
    state.opened.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_and_matters_becomes_a_pull_request_by_a_poll() {
    let world = World::new(OFTEN).await;
    let monitor = world.start("cache");
    let quiet = monitor.until("looked at", |state| state.decision.is_some()).await;
    assert!(matches!(quiet.decision, Some(Decision::Nothing { .. })), "{quiet:?}");
    // like the others: nothing changes but the head
    world.land_all("usual", 10_000..10_060, picture);
    let usual = monitor.until("built", |state| state.evidence.as_ref().is_some_and(|found| found.new == 60)).await;
    let evidence = usual.evidence.unwrap();
    assert!(evidence.change.alarm.is_none() && evidence.change.capital < 0.01, "{:?}", evidence.change);
    assert_eq!(evidence.loss.unwrap().measured.unwrap().accuracy, 1.0);
    assert!(world.pull_requests().await.is_empty());

    // it is away while the others land, so that it finds all of them at once
    drop(monitor);
    world.land_all("odd", 0..200, inverted);
    let monitor = world.start("cache");
    let state = monitor.until("opened", has_opened).await;
    assert_eq!((monitor.metrics.retrainings.get(), monitor.metrics.builds.get()), (1, 1));
    let opened = world.pull_requests().await;
    let [opened] = opened.as_slice() else { panic!("{opened:?}") };
    let head = state.evidence.as_ref().unwrap().head;
    assert_eq!(opened.branch, retrain_branch("sides", &head));
    assert!(matches!(state.decision, Some(Decision::Retrain { reason: Reason::Drift, .. })), "{:?}", state.decision);
    assert_eq!(opened.labels, ["retrain"]);
    for said in [
        "Has it changed?",
        "Does it matter?",
        "The images that speak loudest",
        "xychart-beta",
        "s3://landing/sides/",
        "EUR",
    ] {
        assert!(opened.body.contains(said), "no {said} in {}", opened.body);
    }
    // the declaration is pinned, the experiment runs again, its job is rendered
    let tree = world.tree(&opened.head);
    let declared = parse_dataset("d", &tree.text("datasets/sides.yaml").unwrap()).unwrap();
    assert_eq!(declared.spec.digest, Some(head.to_string()));
    let experiment = parse("e", &tree.text("experiments/sides-cnn.yaml").unwrap()).unwrap();
    assert_eq!(experiment.spec.rerun, Some(2));
    let jobs: Vec<&str> = tree.yaml_in("overlays/local/training-jobs").collect();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert!(tree.text(jobs[0]).unwrap().contains(&head.to_string()));
    let project = slipway_project::Project::read(&tree);
    assert!(project.findings.is_empty(), "{:?}", project.findings);
    assert!(slipway_project::rendered::findings(&project, None).is_empty());

    // merged, there is nothing more to do
    world.merge(opened).await;
    let merged = monitor.until("merged", |state| matches!(state.decision, Some(Decision::Nothing { .. }))).await;
    assert!(merged.decision.unwrap().why().contains("pinned in git already"));
    assert_eq!(world.pull_requests().await.len(), 1);
    // and more of the same is held back for a while
    world.land_all("more", 1000..1050, inverted);
    let held = monitor.until("held back", |state| matches!(state.decision, Some(Decision::HeldBack { .. }))).await;
    assert!(matches!(held.decision, Some(Decision::HeldBack { by: Hold::Cooldown, .. })), "{:?}", held.decision);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_hints_duplicated_shuffled_and_lost_they_change_nothing() {
    let world = World::new(RARELY).await;
    let monitor = world.start("cache");
    monitor.until("looked at", |state| state.decision.is_some()).await;
    let mut keys: Vec<String> = (0..200).map(|number| format!("sides/{}/odd-{number}.png", number % 2)).collect();
    // of three events one is lost, one comes twice, and none comes in its order
    let mut random = fastrand::Rng::with_seed(1);
    keys.retain(|_| random.u8(0..3) > 0);
    let again: Vec<String> = keys.iter().filter(|_| random.bool()).cloned().collect();
    keys.extend(again);
    random.shuffle(&mut keys);
    // some come before what they are about
    for key in &keys[..20] {
        assert_eq!(monitor.notify(key).await, StatusCode::NO_CONTENT);
    }
    world.land_all("odd", 0..200, inverted);
    let told = tokio::time::Instant::now();
    for key in &keys[20..] {
        assert_eq!(monitor.notify(key).await, StatusCode::NO_CONTENT);
    }
    monitor.until("opened", has_opened).await;
    assert!(told.elapsed() < Duration::from_secs(60), "it was not the poll, which comes in an hour");
    for key in &keys {
        monitor.notify(key).await;
    }
    // nothing is lost, and whatever was there when it was looked first, the cooldown allows one pull request
    monitor.until("all", |state| state.evidence.as_ref().is_some_and(|evidence| evidence.new == 200)).await;
    let opened = world.pull_requests().await;
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert!(is_retraining_of("sides", &opened[0].branch), "{opened:?}");
    // what is no notification, and what is about something else
    assert_eq!(monitor.post("{").await, StatusCode::BAD_REQUEST);
    assert_eq!(monitor.notify("elsewhere/1/a.png").await, StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_was_closed_is_an_answer() {
    let world = World::new("{every: 1s, cooldown: 1s, budget: 100, retrain: {experiments: [sides-cnn]}}").await;
    world.land_all("odd", 0..100, inverted);
    let first = world.start("cache");
    first.until("opened", has_opened).await;
    let opened = world.pull_requests().await.remove(0);
    world.remote.forge.close(opened.number).await.unwrap();
    drop(first);
    // another one, which remembers nothing
    let second = world.start("another-cache");
    let state = second.until("looked at", |state| state.decision.is_some()).await;
    assert!(matches!(state.decision, Some(Decision::Opened { number, .. }) if number == opened.number), "{state:?}");
    let all = world.pull_requests().await;
    assert_eq!((all.len(), all[0].state), (1, PullRequestState::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_and_does_not_matter_opens_no_pull_request() {
    let world = World::new(OFTEN).await;
    world.land_all("dark", 0..150, darker);
    let monitor = world.start("cache");
    let state = monitor.until("looked at", |state| state.decision.is_some()).await;
    assert!(matches!(state.decision, Some(Decision::Issue { .. })), "{:?}", state.decision);
    let evidence = state.evidence.unwrap();
    assert!(evidence.change.alarm.is_some() && !evidence.loss.unwrap().matters);
    // a bare repository has no issues
    assert!(world.pull_requests().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_is_not_opened_once_people_have_said_something_else() {
    let declared = |world: &World| -> Monitor {
        let text = world.tree("main").text("datasets/sides.yaml").unwrap();
        parse_dataset("d", &text).unwrap().spec.monitor.unwrap()
    };
    let (world, other) = (World::new(OFTEN).await, Digest::of("other"));
    let decided = declared(&world);
    Retraining::prepare(&world.git, &world.remote, "sides", &other, &decided).await.unwrap();
    let pinned = Retraining::prepare(&world.git, &world.remote, "sides", &world.first, &decided).await;
    assert!(pinned.unwrap_err().to_string().contains("pinned already"));
    let nothing = Monitor { retrain: None, ..decided };
    let changed = Retraining::prepare(&world.git, &world.remote, "sides", &other, &nothing).await;
    assert!(changed.unwrap_err().to_string().contains("another one by now"));
    let watched = Monitor { requests: Some(Requests { matters: Opens::Retrain }), ..declared(&world) };
    let changed = Retraining::prepare(&world.git, &world.remote, "sides", &other, &watched).await;
    assert!(changed.unwrap_err().to_string().contains("spec.monitor.requests is another one by now"));
    let off = World::new("{enabled: false, retrain: {experiments: [sides-cnn]}}").await;
    let switched_off = Retraining::prepare(&off.git, &off.remote, "sides", &other, &declared(&off)).await;
    assert!(switched_off.unwrap_err().to_string().contains("switched off"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer_is_waited_for() {
    let world = World::new(OFTEN).await;
    // it knows no version any more
    world.mlflow.reset().await;
    world.land_all("odd", 0..100, inverted);
    let monitor = world.start("cache");
    let state = monitor.until("said", |state| state.failure.is_some()).await;
    assert!(state.failure.unwrap().contains("what sides is to be compared with is not known"));
    assert_eq!((state.decision, state.opened), (None, None), "another reference would be another watch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_answer_is_waited_for() {
    let mut world = World::new(OFTEN).await;
    // nobody listens there
    world.server = "http://127.0.0.1:1".to_owned();
    world.land_all("odd", 0..200, inverted);
    let monitor = world.start("cache");
    let state = monitor.until("looked at", |state| state.decision.is_some()).await;
    assert!(
        matches!(state.decision, Some(Decision::HeldBack { retrain: false, by: Hold::Silence, until: Some(_), .. })),
        "{:?}",
        state.decision
    );
    assert!(state.evidence.unwrap().silent.is_some());
    assert!(world.pull_requests().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn enough_new_labelled_data_are_a_reason_and_a_switch_stops_everything() {
    let world = World::new("{every: 1s, retrain: {experiments: [sides-cnn], newLabelled: 100}}").await;
    world.land_all("usual", 20_000..20_100, picture);
    let monitor = world.start("cache");
    let state = monitor.until("opened", has_opened).await;
    assert!(matches!(state.decision, Some(Decision::Retrain { reason: Reason::NewData, .. })), "{:?}", state.decision);

    let off = World::new("{enabled: false, every: 1s, retrain: {experiments: [sides-cnn], newLabelled: 1}}").await;
    off.land_all("usual", 20_000..20_100, picture);
    let monitor = off.start("cache");
    let state = monitor.until("shown", |state| !state.enabled).await;
    assert_eq!((state.decision, state.opened), (None, None));
    assert_eq!(off.head().await, off.first, "nothing is built either");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_aside_is_said_although_the_data_stay_the_same() {
    let world = World::new(OFTEN).await;
    let monitor = world.start("cache");
    monitor.until("looked at", |state| state.decision.is_some()).await;
    let head = world.head().await;
    for number in 0..5 {
        world.land_file(0, &format!("broken-{number}"), b"x");
    }
    let state = monitor
        .until("said", |state| state.evidence.as_ref().is_some_and(|evidence| evidence.quality.set_aside == 5))
        .await;
    assert_eq!((state.evidence.unwrap().head, world.head().await), (head, head));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_cannot_be_read_is_said_as_long_as_it_is_so() {
    let world = World::new(OFTEN).await;
    let monitor = world.start("cache");
    monitor.until("looked at", |state| state.decision.is_some()).await;
    for number in 0..30 {
        world.land_file(0, &format!("broken-{number}"), format!("no image {number}").as_bytes());
    }
    let state = monitor.until("said", |state| state.broken.is_some()).await;
    let why = state.broken.unwrap();
    assert!(why.starts_with("30 of the newest 30 objects that landed cannot be read"), "{why}");
    world.land_all("usual", 10_000..10_060, picture);
    monitor.until("mended", |state| state.broken.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_computes_the_numbers_of_the_monitor_at_home() {
    let world = World::new(OFTEN).await;
    world.land_all("odd", 0..200, inverted);
    let monitor = world.start("cache");
    let state = monitor.until("opened", has_opened).await;
    let (evidence, looked_at) = (state.evidence.unwrap(), state.looked_at.unwrap());
    assert!(evidence.change.alarm.is_some() && evidence.loss.as_ref().is_some_and(|loss| loss.matters), "{evidence:?}");
    drop(monitor);
    let evidence = serde_json::to_value(evidence).unwrap();
    let found = world.drift(looked_at).await;
    assert_eq!(serde_json::to_value(&found.evidence).unwrap(), evidence);
    let number = world.pull_requests().await[0].number;
    assert!(matches!(found.decision, Decision::Opened { number: of, .. } if of == number), "{:?}", found.decision);
    // what has landed since the last build is not in it
    world.land_all("more", 1000..1040, inverted);
    assert_eq!(serde_json::to_value(&world.drift(looked_at).await.evidence).unwrap(), evidence);
}
