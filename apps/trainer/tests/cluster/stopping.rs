//! SIGTERM at any moment: a deleted job, a node that is drained.

use std::time::Duration;

use slipway_mlflow::RunStatus;
use slipway_mlflow_server::Mlflow;

use crate::between;
use crate::objects::Objects;
use crate::worker::{Running, free_port, terminate, trial, worker};

/// Far more than can be done while a test runs.
const ENDLESS: usize = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_while_it_trains_says_so_and_registers_nothing() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    // several times each, since libtorch is doing something else each time
    for (turn, stopped) in [0, 1, 0, 1, 0, 1].into_iter().enumerate() {
        let mut trial = trial(&objects, 2, ENDLESS);
        let experiment = format!("stopped-{turn}");
        trial["experiment"] = experiment.clone().into();
        trial["name"] = experiment.clone().into();
        let port = free_port();
        let mut workers = [0, 1].map(|rank| {
            let cache = folder.path().join(format!("cache-{rank}"));
            Some(Running::start(&mut worker(rank, port, &trial, &objects, &mlflow.url, &cache)))
        });
        workers[0].as_mut().unwrap().until_it_trains();
        let victim = workers[stopped].take().unwrap();
        victim.terminate();
        let (code, log) = victim.end();
        assert_eq!(code, Some(143), "rank {stopped}: {log}");
        assert!(log.contains("asked to stop (SIGTERM)") && log.contains("nothing is registered"), "{log}");
        // the other worker reports that a peer has ended
        let (code, log) = workers[1 - stopped].take().unwrap().end();
        assert_eq!(code, Some(8), "rank {}: {log}", 1 - stopped);
        assert!(log.contains("another worker has ended"), "{log}");
        let run = mlflow.run(&experiment).await;
        let status = if stopped == 0 { RunStatus::Killed } else { RunStatus::Failed };
        assert_eq!(run.status, status, "rank {stopped}");
    }
    assert_eq!(mlflow.versions("blocks").await, 0);
}

/// Whoever stops a job sends its signals one after the other: rank 0 has lost the other worker before its own signal arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_workers_are_stopped_one_after_the_other_was_stopped_and_did_not_fail() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    let mut trial = trial(&objects, 2, ENDLESS);
    trial["experiment"] = "one-by-one".into();
    trial["name"] = "one-by-one".into();
    let port = free_port();
    let [mut first, second] = [0, 1].map(|rank| {
        let cache = folder.path().join(format!("cache-{rank}"));
        Running::start(&mut worker(rank, port, &trial, &objects, &mlflow.url, &cache))
    });
    first.until_it_trains();
    second.terminate();
    assert_eq!(second.end().0, Some(143));
    first.terminate();
    let (code, log) = first.end();
    assert_eq!(code, Some(143), "{log}");
    assert_eq!(mlflow.run("one-by-one").await.status, RunStatus::Killed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_waits_for_the_others_can_be_stopped() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    // rank 1 logs what it waits for, so rank 0 starts second
    for rank in [1, 0] {
        let trial = trial(&objects, 2, 1);
        let mut running = Running::start(&mut worker(rank, port, &trial, &objects, &mlflow.url, folder.path()));
        if rank == 1 {
            running.until("waiting_for_rank_0");
        } else {
            crate::worker::until("rank 0's store", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        }
        running.terminate();
        let (code, log) = running.end();
        assert_eq!(code, Some(143), "rank {rank}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_under_way_is_finished_and_one_that_has_not_begun_never_begins() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    for (call, code, status, versions) in [
        // the upload comes before the version: what is stopped there is registered nowhere
        ("/mlflow/logged-models", 143, RunStatus::Killed, 0),
        ("/mlflow/model-versions/create", 0, RunStatus::Finished, 1),
    ] {
        let (address, arrival) = between::hold(&mlflow.url, call).await;
        let mut trial = trial(&objects, 1, 2);
        trial["experiment"] = format!("stopped-at-{versions}").into();
        trial["name"] = trial["experiment"].clone();
        let running = Running::start(&mut worker(0, free_port(), &trial, &objects, &address, folder.path()));
        let pid = running.pid();
        let ended = tokio::task::spawn_blocking(move || running.end());
        let go_on = tokio::time::timeout(Duration::from_secs(60), arrival).await.unwrap().unwrap();
        terminate(pid);
        // the call goes on once the signal has certainly been delivered
        tokio::time::sleep(Duration::from_millis(300)).await;
        let _ = go_on.send(());
        let (found, log) = ended.await.unwrap();
        assert_eq!(found, Some(code), "{call}: {log}");
        assert!(log.contains("asked to stop (SIGTERM)"), "{call}: {log}");
        assert_eq!(log.contains("nothing is registered"), versions == 0, "{call}: {log}");
        assert_eq!(mlflow.run(trial["experiment"].as_str().unwrap()).await.status, status, "{call}");
        assert_eq!(mlflow.versions("blocks").await, versions, "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_for_good_ends_at_once_with_3() {
    let (mlflow, objects) = (Mlflow::start().await, Objects::start().await);
    let folder = tempfile::tempdir().unwrap();
    let begun = std::time::Instant::now();
    let mut wrong_digest = trial(&objects, 1, 1);
    wrong_digest["dataset"]["digest"] = format!("sha256:{}", "0".repeat(64)).into();
    let fewer_workers = "1 workers were started (PET_NNODES × PET_NPROC_PER_NODE), but the trial needs 2";
    for (trial, variable, value, says) in [
        (trial(&objects, 2, 1), "PET_NNODES", None, "PET_NNODES is not set"),
        // a TrainJob whose numNodes Kubernetes did not take
        (trial(&objects, 2, 1), "PET_NNODES", Some("1"), fewer_workers),
        (trial(&objects, 1, 1), "SLIPWAY_TRIAL", None, "SLIPWAY_TRIAL is not set"),
        // no metadata service is asked for them
        (trial(&objects, 1, 1), "AWS_SECRET_ACCESS_KEY", None, "AWS_SECRET_ACCESS_KEY is not set"),
        (wrong_digest, "PET_NNODES", Some("1"), "sha256:000"),
    ] {
        let mut command = worker(0, free_port(), &trial, &objects, &mlflow.url, folder.path());
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
        let (code, log) = Running::start(&mut command).end();
        assert_eq!(code, Some(3), "{says}: {log}");
        assert!(log.contains(says), "{says}: {log}");
    }
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}
