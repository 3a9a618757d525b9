//! A TrainJob that starts more than once: after a disruption, or in a new cluster that follows an old repository.

use std::time::Duration;

use slipway_mlflow::{RunStatus, Tag};
use slipway_mlflow_server::Mlflow;

use crate::between::{self, Fault};
use crate::objects::Objects;
use crate::worker::{Running, free_port, trial, worker};

/// Far more than can be done while a test runs.
const ENDLESS: usize = 1_000_000;

/// Runs one worker to its end.
async fn run(command: &mut std::process::Command) -> (Option<i32>, String) {
    let running = Running::start(command);
    tokio::task::spawn_blocking(move || running.end()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_not_trained_again_and_no_worker_waits_for_another() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    for (bound, gate, versions) in [(">= 0.9", "passed", 1), (">= 1", "refused", 0)] {
        let mut first = trial(&objects, 1, 2);
        first["name"] = format!("blocks-{gate}").into();
        first["experiment"] = gate.into();
        first["register"] = serde_json::json!({"model": gate, "require": {"validation_accuracy": bound}});
        if gate == "refused" {
            // one step on 1,000 images, which teaches little
            first["training"]["epochs"] = 1.into();
            first["training"]["batchSize"] = 1000.into();
        }
        let (code, log) = run(&mut worker(0, free_port(), &first, &objects, &mlflow.url, folder.path())).await;
        assert_eq!(code, Some(0), "{log}");
        let before = mlflow.run(gate).await;
        assert_eq!((before.status, before.tags["slipway.gate"].as_str()), (RunStatus::Finished, gate));
        if gate == "refused" {
            let unmet: serde_json::Value = serde_json::from_str(&before.tags["slipway.gate-unmet"]).unwrap();
            let value = before.metrics["validation_accuracy"];
            let expected = serde_json::json!([{"metric": "validation_accuracy", "value": value, "bound": ">= 1"}]);
            assert_eq!(unmet, expected);
        }
        assert_eq!(mlflow.versions(gate).await, versions);

        // in a new cluster: the store is empty and the other workers never come, and both do not matter
        let mut again = first.clone();
        again["workers"] = 2.into();
        for rank in [1, 0] {
            let mut command = worker(rank, free_port(), &again, &objects, &mlflow.url, folder.path());
            command.env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9").env("SLIPWAY_CACHE", folder.path().join("empty"));
            let (code, log) = run(&mut command).await;
            assert_eq!(code, Some(0), "rank {rank}: {log}");
            assert!(log.contains("done_before") && !log.contains("workers_met"), "rank {rank}: {log}");
        }
        assert_eq!((mlflow.run(gate).await, mlflow.versions(gate).await), (before, versions));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_of_a_killed_attempt_does_not_stay_running() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut killed =
        Running::start(&mut worker(0, free_port(), &trial(&objects, 1, ENDLESS), &objects, &mlflow.url, folder.path()));
    killed.until("\"event\":\"run\"");
    killed.kill();
    assert_eq!(mlflow.run("blocks-mlp").await.status, RunStatus::Running, "what a kill leaves");

    // the same TrainJob starts again
    let mut next = worker(0, free_port(), &trial(&objects, 1, 2), &objects, &mlflow.url, folder.path());
    let (code, log) = run(&mut next).await;
    assert_eq!(code, Some(0), "{log}");
    let runs = mlflow.runs("blocks-mlp").await;
    let killed: Vec<_> = runs.iter().filter(|run| run.status == RunStatus::Killed).collect();
    let finished = runs.iter().filter(|run| run.status == RunStatus::Finished).count();
    assert_eq!((runs.len(), killed.len(), finished), (2, 1, 1), "{runs:?}");
    assert!(killed[0].tags["slipway.failure"].contains("killed") && killed[0].end_time.is_some(), "{killed:?}");
    assert_eq!(mlflow.versions("blocks").await, 1);
}

/// On the last attempt no later one marks it.
#[tokio::test(flavor = "multi_thread")]
async fn the_run_of_a_rank_0_that_was_killed_is_ended_by_the_worker_that_is_left() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    let (port, trial) = (free_port(), trial(&objects, 2, ENDLESS));
    let [mut rank_0, rank_1] = [0, 1].map(|rank| {
        let cache = folder.path().join(format!("cache-{rank}"));
        Running::start(&mut worker(rank, port, &trial, &objects, &mlflow.url, &cache))
    });
    rank_0.until_it_trains();
    let run = mlflow.run("blocks-mlp").await;
    // the next attempt's rank 0 has begun already
    let job = Tag::new("slipway.trainjob", trial["name"].as_str().unwrap());
    let later = run.start_time.unwrap() + 1;
    let next = mlflow.client.create_run(&run.experiment_id, "next", &[job], later).await.unwrap();
    rank_0.kill();
    let (code, log) = tokio::task::spawn_blocking(move || rank_1.end()).await.unwrap();
    assert_eq!(code, Some(8), "{log}");
    let killed = mlflow.client.get_run(&run.run_id).await.unwrap();
    assert_eq!(killed.status, RunStatus::Killed, "{log}");
    assert!(killed.tags["slipway.failure"].contains("the worker with rank 0 ended") && killed.end_time.is_some());
    assert_eq!(mlflow.client.get_run(&next.run_id).await.unwrap().status, RunStatus::Running, "it is not its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_killed_while_it_registers_completes_its_registration() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    for (call, resumes) in [
        // no version yet
        ("/mlflow/model-versions/create", true),
        // the version exists, and its run is not finished yet
        ("/mlflow/runs/update", false),
    ] {
        let mut job = trial(&objects, 1, 2);
        let experiment = if resumes { "killed-before" } else { "killed-after" };
        job["name"] = format!("{experiment}-1a2b3c4d").into();
        job["experiment"] = experiment.into();
        let (address, arrival) = between::hold(&mlflow.url, call).await;
        let mut first = Running::start(&mut worker(0, free_port(), &job, &objects, &address, folder.path()));
        // it is killed while the call is under way, and MLflow never hears of that
        let held = tokio::time::timeout(Duration::from_secs(60), arrival).await.unwrap().unwrap();
        first.kill();
        drop(held);

        let before = mlflow.versions("blocks").await;
        let (code, log) = run(&mut worker(0, free_port(), &job, &objects, &mlflow.url, folder.path())).await;
        assert_eq!(code, Some(0), "{call}: {log}");
        // the training was over: not one step is made again, and the run is the same
        assert_eq!(
            (log.contains("\"event\":\"resumed\""), log.contains("first_step")),
            (resumes, false),
            "{call}: {log}"
        );
        assert_eq!(mlflow.versions("blocks").await, before + usize::from(resumes), "{call}");
        let found: Vec<_> = mlflow.runs(experiment).await.iter().map(|run| run.status).collect();
        assert_eq!(found, [RunStatus::Finished], "{call}");
        assert_eq!(objects.checkpoint_objects(job["name"].as_str().unwrap()), 0, "{call}");
    }
    assert_eq!(mlflow.versions("blocks").await, 2, "one version of each job");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mlflow_did_without_an_answer_is_neither_lost_nor_done_twice() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    let calls = ["/experiments/create", "/runs/create", "/mlflow/logged-models", "/model-versions/create"];
    let faults = calls.into_iter().map(|call| (call, Fault::AnswerLost)).collect();
    let address = between::start(&mlflow.url, faults).await;
    let mut command = worker(0, free_port(), &trial(&objects, 1, 2), &objects, &address, folder.path());
    let (code, log) = run(&mut command).await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(mlflow.versions("blocks").await, 1);
    let runs = mlflow.runs("blocks-mlp").await;
    let with = |status| runs.iter().filter(|run| run.status == status).count();
    assert_eq!((with(RunStatus::Finished), with(RunStatus::Killed), runs.len()), (1, 1, 2), "{runs:?}");
}

/// A person's client gives up after five attempts at MLflow, and after five seconds at the store. A job waits.
#[tokio::test(flavor = "multi_thread")]
async fn services_that_are_away_cost_a_job_time_and_nothing_else() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    let away = |call| std::iter::repeat_with(move || (call, Fault::Away)).take(6);
    let faults = away("/experiments/get-by-name").chain(away("/runs/log-batch")).collect();
    let address = between::start(&mlflow.url, faults).await;
    objects.set_away(true);
    let mut job =
        Running::start(&mut worker(0, free_port(), &trial(&objects, 1, 2), &objects, &address, folder.path()));
    let (job, objects) = tokio::task::spawn_blocking(move || {
        for _ in 0..6 {
            job.until("trying again: cannot reach the object store");
        }
        (job, objects)
    })
    .await
    .unwrap();
    objects.set_away(false);
    let (code, log) = tokio::task::spawn_blocking(move || job.end()).await.unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!((mlflow.run("blocks-mlp").await.status, mlflow.versions("blocks").await), (RunStatus::Finished, 1));
}
