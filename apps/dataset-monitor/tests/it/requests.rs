//! Requests that have changed become an issue, or the retrain pull request if that matters and was declared.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use slipway_dataset_monitor::watched::{DatasetState, RequestsState};
use slipway_evidence::{Decision, Reason};
use slipway_proposal::retrain_branch;
use tower::ServiceExt as _;

use crate::model;
use crate::pictures::{darker, faint, picture, sometimes_faint};
use crate::world::{OFTEN, Running, World};

const WATCHED: &str = "{every: 1h, cooldown: 1h, retrain: {experiments: [sides-cnn]}, requests: {matters: retrain}}";

fn is_decided(state: &DatasetState) -> bool {
    state.requests.as_ref().is_some_and(|requests| requests.decision.is_some())
}

/// What is known of the requests once something was decided about them.
async fn decided(monitor: &Running) -> RequestsState {
    monitor.until("decided", is_decided).await.requests.unwrap()
}

async fn metrics(monitor: &Running) -> String {
    let request = Request::get("/metrics").header("host", "monitor").body(Body::empty()).unwrap();
    let answer = monitor.app.clone().oneshot(request).await.unwrap();
    String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_have_changed_and_lose_nothing_are_an_issue() {
    let world = World::new(WATCHED).await;
    let monitor = world.start("cache");
    let state = decided(&monitor).await;
    assert_eq!(state.evidence.unwrap().change.windows, 0, "nothing was sampled yet");
    drop(monitor);
    world.ask(4, 50_000..50_100, picture).await;
    let monitor = world.start("cache");
    let state = decided(&monitor).await;
    assert!(matches!(state.decision, Some(Decision::Nothing { .. })), "{state:?}");
    let change = state.evidence.unwrap().change;
    assert!(change.alarm.is_none() && change.capital < 0.01, "{change:?}");
    assert_eq!((change.windows, change.observations), (2, 100));
    drop(monitor);
    // another monitor, which remembers nothing, begins with the same hour
    world.ask(3, 60_000..60_200, darker).await;
    let monitor = world.start("another-cache");
    let state = decided(&monitor).await;
    assert!(matches!(state.decision, Some(Decision::Issue { .. })), "{state:?}");
    let evidence = state.evidence.unwrap();
    assert_eq!((evidence.model.version, evidence.hours, evidence.left_out), (1, 2, 0));
    assert!((150..=300).contains(&evidence.change.alarm.unwrap().after));
    let loss = evidence.loss.unwrap();
    assert!(!loss.matters && loss.measured.is_none() && loss.estimated.is_some(), "{loss:?}");
    let metrics = metrics(&monitor).await;
    for line in
        ["slipway_request_drift_rows{dataset=\"sides\"} 300", "slipway_request_drift_capital{dataset=\"sides\"}"]
    {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    // a bare repository has no issues
    assert!(world.pull_requests().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_have_changed_and_matter_become_one_pull_request() {
    let world = World::of(WATCHED, sometimes_faint).await;
    world.ask(6, 50_000..50_100, sometimes_faint).await;
    for ago in 3..6_i64 {
        let first = 60_000 + 1000 * ago.unsigned_abs();
        world.ask(ago, first..first + 200, faint).await;
    }
    // nothing is new to train on
    let monitor = world.start("cache");
    let state = decided(&monitor).await;
    assert!(
        matches!(&state.decision, Some(Decision::Issue { why }) if why.contains("nothing new to train on")),
        "{state:?}"
    );
    let loss = state.evidence.unwrap().loss.unwrap();
    assert!(loss.matters && loss.items == 600, "{loss:?}");
    drop(monitor);
    world.land_all("usual", 20_000..20_040, sometimes_faint);
    let monitor = world.start("cache");
    let is_opened = |state: &DatasetState| state.requests.as_ref().is_some_and(|requests| requests.opened.is_some());
    let state = monitor.until("opened", is_opened).await;
    assert_eq!(monitor.metrics.retrainings.get(), 1);
    assert!(matches!(state.decision, Some(Decision::Nothing { .. })), "what landed is usual: {:?}", state.decision);
    let requests = state.requests.unwrap();
    let is_right = matches!(requests.decision, Some(Decision::Retrain { reason: Reason::Requests, .. }));
    assert!(is_right, "{:?}", requests.decision);
    let opened = world.pull_requests().await;
    let [opened] = opened.as_slice() else { panic!("{opened:?}") };
    assert_eq!(opened.branch, retrain_branch("sides", &requests.evidence.unwrap().head.unwrap()));
    for said in [
        "<!-- slipway:about requests sides sides 1 ",
        "by the estimate",
        "700 rows in 4 hours",
        "Does it matter?",
        "xychart-beta",
        "EUR",
    ] {
        assert!(opened.body.contains(said), "no {said} in {}", opened.body);
    }
    assert!(!opened.body.contains("speak loudest"), "{}", opened.body);
    // another one, which remembers nothing
    drop(monitor);
    let monitor = world.start("another-cache");
    let state = decided(&monitor).await;
    assert!(matches!(state.decision, Some(Decision::Opened { number, .. }) if number == opened.number), "{state:?}");
    assert_eq!(world.pull_requests().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn features_are_watched_of_what_lands_and_of_requests_if_the_version_gives_them() {
    let mut world = World::new(WATCHED).await;
    world.server = model::serve(true).await;
    world.land_all("usual", 20_000..20_060, picture);
    world.ask(4, 50_000..50_100, picture).await;
    world.ask(3, 60_000..60_100, picture).await;
    let monitor = world.start("cache");
    let is_looked_at =
        |state: &DatasetState| is_decided(state) && state.evidence.as_ref().is_some_and(|evidence| evidence.new == 60);
    let state = monitor.until("looked at", is_looked_at).await;
    let (data, requests) = (state.evidence.unwrap(), state.requests.unwrap().evidence.unwrap());
    assert!(data.unknown.is_empty() && requests.unknown.is_empty(), "{:?} {:?}", data.unknown, requests.unknown);
    assert!(data.change.windows > 0 && requests.change.observations == 200, "{:?}", requests.change);
    for change in [data.change, requests.change] {
        let distance = change.streams.iter().find(|one| one.stream == "distance").unwrap();
        assert!(distance.seen.is_some() && change.alarm.is_none() && change.capital < 0.01, "{change:?}");
    }
    assert!(!data.loss.unwrap().matters && requests.loss.is_some_and(|loss| !loss.matters));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_compared_if_that_is_declared_and_the_version_answers() {
    let undeclared = World::new(OFTEN).await;
    undeclared.ask(3, 0..100, darker).await;
    let monitor = undeclared.start("cache");
    let state = monitor.until("looked at", |state| state.decision.is_some()).await;
    assert_eq!(state.requests, None);

    let mut silent = World::new(WATCHED).await;
    silent.ask(3, 0..100, darker).await;
    // nobody listens there
    silent.server = "http://127.0.0.1:1".to_owned();
    let monitor = silent.start("cache");
    let said = |state: &DatasetState| state.requests.as_ref().is_some_and(|requests| requests.failure.is_some());
    let state = monitor.until("said", said).await.requests.unwrap();
    assert!(state.failure.unwrap().contains("127.0.0.1:1"));
    assert_eq!((state.decision, state.evidence), (None, None));
}
