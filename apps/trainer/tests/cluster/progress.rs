//! Progress in the TrainJob's status.

use axum::http::StatusCode;
use serde_json::{Value, json};
use slipway_mlflow::RunStatus;
use slipway_mlflow_server::Mlflow;

use crate::objects::Objects;
use crate::status_api::{Mounted, StatusApi};
use crate::worker::{Running, free_port, trial, until, worker};

fn metric(status: &Value, name: &str) -> Option<f64> {
    let metrics = status["metrics"].as_array().unwrap();
    metrics.iter().find(|metric| metric["name"] == name)?["value"].as_str().unwrap().parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn rank_0_reports_from_its_start_to_the_registration() {
    let (mlflow, objects, api) =
        (Mlflow::start().await, Objects::start().await, StatusApi::start(StatusCode::OK).await);
    let folder = tempfile::tempdir().unwrap();
    let mounted = Mounted::new(&folder.path().join("trainer"), &api.ca, "first\n");
    // seconds of training on any machine
    let (port, trial) = (free_port(), trial(&objects, 2, 150));
    let mut workers = [0, 1].map(|rank| {
        let cache = folder.path().join(format!("cache-{rank}"));
        let mut command = worker(rank, port, &trial, &objects, &mlflow.url, &cache);
        // would be refused with 404, and counted
        let url = if rank == 0 { api.url.clone() } else { format!("{}/of-rank-1", api.url) };
        command.env("SLIPWAY_PROGRESS_SECONDS", "1");
        Running::start(command.envs(mounted.environment(&url)))
    });
    until("the first report", || !api.reports().is_empty()).await;
    // as kubelet renews it, by a rename
    std::fs::write(mounted.folder.join("renewed"), "second\n").unwrap();
    std::fs::rename(mounted.folder.join("renewed"), mounted.folder.join("token")).unwrap();
    workers[0].until("first_step");
    for worker in workers {
        let (code, log) = worker.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("progress_not_reported"), "{log}");
    }

    let reports = api.reports();
    assert_eq!(api.attempts(), reports.len(), "rank 1 reported, or a report was refused");
    assert!(reports.len() >= 4, "{reports:?}");
    assert!(reports[0].status.get("progressPercentage").is_none(), "no step was made yet: {reports:?}");
    let percentages: Vec<u64> = reports.iter().filter_map(|r| r.status["progressPercentage"].as_u64()).collect();
    assert!(percentages.is_sorted() && percentages[0] < 100, "{percentages:?}");
    assert!(percentages[1..percentages.len() - 1].iter().any(|p| (1..100).contains(p)), "{percentages:?}");
    assert_eq!((reports[0].token.as_str(), reports.last().unwrap().token.as_str()), ("first", "second"));

    let middle = &reports[reports.len() / 2].status;
    assert!(middle["estimatedRemainingSeconds"].as_u64().is_some() && metric(middle, "loss").is_some(), "{middle}");
    let last = &reports.last().unwrap().status;
    assert_eq!((&last["progressPercentage"], &last["estimatedRemainingSeconds"]), (&json!(100), &json!(0)));
    let run = mlflow.run("blocks-mlp").await;
    let version = mlflow.client.latest_model_version("blocks").await.unwrap().unwrap();
    assert_eq!(run.status, RunStatus::Finished);
    assert_eq!(metric(last, "test_accuracy").unwrap().to_string(), version.tags["slipway.accuracy"]);
    assert!(metric(last, "validation_accuracy").is_some() && metric(last, "images_per_second").is_some(), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_failure_is_logged_once_and_fails_nothing() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let (taking, refusing) = (StatusApi::start(StatusCode::OK).await, StatusApi::start(StatusCode::FORBIDDEN).await);
    let folder = tempfile::tempdir().unwrap();
    let closed = format!("https://localhost:{}/status", free_port());
    let plain = taking.url.replace("https://", "http://");
    for (case, (url, ca, says)) in [
        (&closed, &taking.ca, "refused"),
        (&refusing.url, &refusing.ca, "answered 403"),
        // another authority of the same name
        (&taking.url, &refusing.ca, "certificate"),
        (&taking.url, &"no certificate".to_owned(), "does not contain a certificate"),
        (&plain, &taking.ca, "not allowed"),
    ]
    .into_iter()
    .enumerate()
    {
        let mounted = Mounted::new(&folder.path().join(case.to_string()), ca, "token");
        let cache = folder.path().join("cache");
        let mut trial = trial(&objects, 1, 2);
        trial["name"] = format!("blocks-mlp-0000000{case}").into();
        let mut command = worker(0, free_port(), &trial, &objects, &mlflow.url, &cache);
        let (code, log) = Running::start(command.envs(mounted.environment(url))).end();
        assert_eq!(code, Some(0), "{says}: {log}");
        let logged: Vec<&str> = log.lines().filter(|line| line.contains("progress_not_reported")).collect();
        assert!(logged.len() == 1 && logged[0].contains(says), "{says}: {logged:?}");
        assert_eq!(mlflow.versions("blocks").await, case + 1);
    }
    // the first report and the last
    assert_eq!(refusing.attempts(), 2);
    assert_eq!(taking.attempts(), 0);
}
