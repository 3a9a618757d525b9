//! What MLflow is asked for a report, and what becomes of the report if MLflow goes away in the middle.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use slipway_mlflow::Client;
use slipway_outcome::{Branch, Merged, Now, Outcome, Started, StartedTrial};
use slipway_project::plan::Start;
use slipway_report::{InService, Ranking};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const API: &str = "/api/2.0/mlflow";
/// How many trials the sweep has.
const TRIALS: usize = 40;

/// MLflow with a run of each trial, whose loss is the lower the later it comes; its answer about versions.
async fn mlflow(versions: ResponseTemplate) -> MockServer {
    let run = |index: usize| {
        json!({
            "info": {"run_id": format!("r{index}"), "experiment_id": "1", "status": "FINISHED", "start_time": 1, "end_time": 2},
            "data": {
                "metrics": [{"key": "loss", "value": 1.0 / (index + 1) as f64, "timestamp": 1, "step": 9}],
                "tags": [{"key": "slipway.trainjob", "value": name(index)}],
            },
        })
    };
    mlflow_with((0..TRIALS).map(run).collect(), versions).await
}

/// MLflow with these runs.
async fn mlflow_with(runs: Vec<Value>, versions: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let answer = async |verb: &str, at: &str, answer: ResponseTemplate| {
        Mock::given(method(verb)).and(path(format!("{API}/{at}"))).respond_with(answer).mount(&server).await;
    };
    let experiment = json!({"experiment": {"experiment_id": "1", "name": "squares", "lifecycle_stage": "active"}});
    answer("GET", "experiments/get-by-name", ResponseTemplate::new(200).set_body_json(experiment)).await;
    answer("POST", "runs/search", ResponseTemplate::new(200).set_body_json(json!({ "runs": runs }))).await;
    let points = json!({"metrics": [{"key": "loss", "value": 0.5, "timestamp": 1, "step": 0}]});
    answer("GET", "metrics/get-history", ResponseTemplate::new(200).set_body_json(points)).await;
    answer("GET", "model-versions/search", versions).await;
    server
}

fn name(index: usize) -> String {
    format!("squares-{index:08x}")
}

/// What came of a pull request that started the sweep, whose gate is an upper bound of the loss.
async fn outcome(server: &MockServer) -> Outcome {
    let start =
        |index| Start { name: name(index), parameters: <_>::default(), workers: 1, cpu_hours: 1.0, gpu_hours: 0.0 };
    let trials = (0..TRIALS).map(|index| StartedTrial { start: start(index), cpus: Some(1.0), gpus: Some(0.0) });
    let started = Started {
        environment: "local".to_owned(),
        experiment: "squares".to_owned(),
        model: Some("squares".to_owned()),
        ranking: Some(Ranking { metric: "loss".to_owned(), more_is_better: false }),
        trials: trials.collect(),
    };
    let merged = Merged { number: 7, started: vec![started], ..Merged::default() };
    let client = Client::new(&server.uri()).unwrap();
    merged.outcome(&Now::new(Ok(&client), &Branch::default(), &[])).await.unwrap()
}

#[tokio::test]
async fn the_histories_of_the_best_trials_are_asked_for() {
    let server = mlflow(ResponseTemplate::new(200).set_body_json(json!({}))).await;
    let outcome = outcome(&server).await;
    let requests = server.received_requests().await.unwrap();
    let asked: BTreeSet<String> = requests
        .iter()
        .filter(|request| request.url.path().ends_with("/metrics/get-history"))
        .filter_map(|request| request.url.query_pairs().find(|(key, _)| key == "run_id"))
        .map(|(_, id)| id.into_owned())
        .collect();
    let best: BTreeSet<String> = (TRIALS - 12..TRIALS).map(|index| format!("r{index}")).collect();
    assert_eq!(asked, best);
    let results = &outcome.results.experiments[0];
    assert_eq!(results.ranking.as_ref().map(|ranking| ranking.metric.as_str()), Some("loss"));
    assert_eq!(results.trials.iter().filter(|trial| !trial.curves.is_empty()).count(), 12);
    assert!(!outcome.is_incomplete());
}

#[tokio::test]
async fn what_a_trial_used_is_what_all_of_its_attempts_used() {
    let attempt = |id: &str, status: &str, start: u64, end: u64| {
        json!({
            "info": {"run_id": id, "experiment_id": "1", "status": status, "start_time": start, "end_time": end},
            "data": {"tags": [{"key": "slipway.trainjob", "value": name(0)}]},
        })
    };
    let attempts = vec![attempt("a", "FAILED", 1_000, 601_000), attempt("b", "FINISHED", 701_000, 1_001_000)];
    let server = mlflow_with(attempts, ResponseTemplate::new(200).set_body_json(json!({}))).await;
    let outcome = outcome(&server).await;
    let trial = &outcome.results.experiments[0].trials[0];
    assert_eq!((trial.name.as_str(), trial.seconds), (name(0).as_str(), Some(900.0)));
    assert_eq!((trial.cpu_hours, trial.gpu_hours), (Some(0.25), Some(0.0)));
}

#[tokio::test]
async fn a_report_lacks_its_versions_if_mlflow_goes_away_in_the_middle() {
    let gone = json!({"error_code": "PERMISSION_DENIED", "message": "not any more"});
    let server = mlflow(ResponseTemplate::new(403).set_body_json(gone)).await;
    let outcome = outcome(&server).await;
    assert!(outcome.is_incomplete() && outcome.models.is_empty());
    let first = outcome.document().first;
    assert!(first.starts_with("### Slipway: 40 trials finished\n"), "{first}");
    let why = first.lines().find(|line| line.starts_with("- ⚠ Not everything is known: `the versions of squares: "));
    assert!(why.unwrap_or_else(|| panic!("{first}")).contains("not any more"), "{first}");
}

#[tokio::test]
async fn a_promotion_lacks_its_comparison_without_mlflow() {
    let why = "MLflow did not answer".to_owned();
    for (after, lacks) in [(Some(3), true), (None, false)] {
        let (environment, model) = ("local".to_owned(), "squares".to_owned());
        let in_service = vec![InService { environment, model, before: Some(2), after }];
        let merged = Merged { number: 7, in_service, ..Merged::default() };
        let outcome = merged.outcome(&Now::new(Err(&why), &Branch::default(), &[])).await.unwrap();
        assert_eq!(outcome.is_incomplete(), lacks, "{:?}", outcome.results);
    }
}

#[tokio::test]
async fn nothing_is_asked_about_a_version_that_only_goes_out_of_service() {
    let server = MockServer::start().await;
    let (environment, model) = ("local".to_owned(), "squares".to_owned());
    let in_service = vec![InService { environment, model, before: Some(2), after: None }];
    let merged = Merged { number: 7, in_service, ..Merged::default() };
    let client = Client::new(&server.uri()).unwrap();
    let outcome = merged.outcome(&Now::new(Ok(&client), &Branch::default(), &[])).await.unwrap();
    assert!(!outcome.is_incomplete());
    assert!(server.received_requests().await.unwrap().is_empty());
}
