//! Progress of real workers, by the client that trainer and launcher have.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::ResourceExt as _;
use kube::runtime::watcher::{Config, Event, watcher};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use slipway_job::Reporter;

use crate::bench::{Bench, http, job, within};

const JOBS: &str = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/training/trainjobs";

/// Not a test: a worker that reports its progress, step by step as a file tells it to.
#[test]
#[ignore = "is run by progress_is_in_the_train_job"]
fn a_worker_that_reports() {
    let reporter = Reporter::start(Duration::from_millis(20)).unwrap();
    assert!(reporter.is_heard());
    let begun = Instant::now();
    reporter.note(|progress| {
        progress.step(1, 101, begun);
        progress.step(43, 101, begun + Duration::from_secs(42));
        progress.metric("loss", 0.25);
    });
    while !std::path::Path::new("go").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    reporter.conclude();
}

#[tokio::test]
async fn progress_is_in_the_train_job() {
    let mut bench = Bench::new(1).await;
    let mut events = pin!(watcher(bench.train_jobs(), Config::default()));
    let worker = std::env::current_exe().unwrap().display().to_string();
    let arguments = ["progress::a_worker_that_reports", "--exact", "--ignored", "--nocapture"];
    bench.add_file("a", &job("a", 1, &[&[worker.as_str()], &arguments[..]].concat()));
    let mut reported = Vec::new();
    let mut last = Value::Null;
    while last["progressPercentage"] != 100 {
        let Event::Apply(job) = within(events.next()).await.unwrap().unwrap() else { continue };
        assert_eq!(job.name_any(), "a");
        last = job.data["status"]["trainerStatus"].clone();
        if let Some(percent) = last["progressPercentage"].as_u64() {
            if percent == 42 {
                assert_eq!(last["metrics"], json!([{"name": "loss", "value": "0.25"}]));
                assert!(last["estimatedRemainingSeconds"].is_u64() && last["lastUpdatedTime"].is_string(), "{last}");
                std::fs::write(bench.path("jobs/a/go"), "").unwrap();
            }
            reported.push(percent);
        }
    }
    assert!(reported.contains(&42) && reported.is_sorted(), "{reported:?}");
    let status = bench.finished("a").await;
    assert_eq!(status.trainer_status.unwrap().progress_percentage, Some(100), "and it is kept");
}

#[tokio::test]
async fn a_workers_token_is_for_its_own_progress_while_it_runs() {
    let mut bench = Bench::new(2).await;
    for name in ["a", "b"] {
        bench.add(name, 1, "while [ ! -e go ]; do sleep 0.01; done");
        bench.pod(name, 0, |pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Running")).await;
    }
    let token = std::fs::read_to_string(bench.path("jobs/a/status-server/token")).unwrap();
    let client = http(&bench.serving.kubeconfig).0;
    let ask = async |method: Method, path: &str, body: &str| {
        let url = format!("{}{path}", bench.serving.url);
        client.request(method, url).bearer_auth(&token).body(body.to_owned()).send().await.unwrap().status()
    };
    let report = |percent: u32| {
        json!({"trainerStatus": {"progressPercentage": percent, "lastUpdatedTime": "2026-11-24T09:00:00Z"}}).to_string()
    };
    let own = format!("{JOBS}/a/status");
    assert_eq!(ask(Method::POST, &own, &report(1)).await, StatusCode::OK);
    assert_eq!(ask(Method::POST, &own, &report(101)).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ask(Method::POST, &own, "{}").await, StatusCode::UNPROCESSABLE_ENTITY);
    for (method, path) in [
        (Method::POST, format!("{JOBS}/b/status")),
        (Method::GET, format!("{JOBS}/a")),
        (Method::GET, "/api/v1/pods".to_owned()),
        (Method::POST, "/apis/coordination.k8s.io/v1/namespaces/training-manager/leases".to_owned()),
    ] {
        assert_eq!(ask(method, &path, &report(1)).await, StatusCode::FORBIDDEN, "{path}");
    }
    std::fs::write(bench.path("jobs/a/go"), "").unwrap();
    bench.finished("a").await;
    assert_eq!(ask(Method::POST, &own, &report(2)).await, StatusCode::UNAUTHORIZED, "its job has ended");
    assert_eq!(bench.finished("a").await.trainer_status.unwrap().progress_percentage, Some(1));
    std::fs::write(bench.path("jobs/b/go"), "").unwrap();
    bench.finished("b").await;
}
