//! SIGTERM, and what a program leaves behind.

use std::time::{Duration, Instant};

use slipway_mlflow::RunStatus;
use slipway_processes::Signal;

use crate::worker::{Place, Running, free_port, lives, signal};

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_sigterm_and_has_time_to_end() {
    let place = Place::new().await;
    let script = "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.1; done";
    let mut running =
        Running::start(&mut place.worker(0, free_port(), &place.trial("asked", 1, &["sh", "-c", script])));
    running.says("ready");
    signal(running.pid(), Signal::TERM);
    let (code, log) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(143), "{log}");
    assert!(log.contains("saved") && log.contains("nothing is registered") && !log.contains("program_killed"), "{log}");
    assert_eq!(place.mlflow.run("asked").await.status, RunStatus::Killed);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ignores_sigterm_is_killed_with_all_that_it_has_started() {
    let place = Place::new().await;
    // one in its group, and one that left it
    let script = "trap '' TERM; sleep 1000 & echo child $!; setsid sh -c 'echo child $$; sleep 1000' & echo ready; while :; do sleep 0.1; done";
    let mut running = Running::start(&mut place.worker(0, free_port(), &place.trial("deaf", 1, &["sh", "-c", script])));
    let mut left: Vec<u32> = (0..2).map(|_| child(&running.says("child"))).collect();
    left.push(running.pid());
    signal(running.pid(), Signal::TERM);
    let begun = Instant::now();
    let (code, log) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(143), "{log}");
    assert!(log.contains("program_killed"), "{log}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(!left.iter().any(|pid| lives(*pid)), "{left:?}");
    assert_eq!(place.mlflow.run("deaf").await.status, RunStatus::Killed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_leaves_behind_ends_with_it() {
    let place = Place::new().await;
    let script = "sleep 1000 & echo child $!; setsid sh -c 'trap \"\" TERM HUP; echo child $$; sleep 1000' & sleep 0.3";
    let mut trial = place.trial("forks", 1, &["sh", "-c", script]);
    trial["register"] = serde_json::Value::Null;
    let mut running = Running::start(&mut place.worker(0, free_port(), &trial));
    let left: Vec<u32> = (0..2).map(|_| child(&running.says("child"))).collect();
    let (code, log) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(!left.iter().any(|pid| lives(*pid)), "{left:?}");
    assert_eq!(place.mlflow.run("forks").await.status, RunStatus::Finished);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_of_an_attempt_that_was_killed_before_its_end_is_not_taken_for_done() {
    let place = Place::new().await;
    // what `mlflow.end_run()` does when the interpreter ends
    let script = "import os, time\nfrom tracking import call\ncall('runs/update', {'run_id': os.environ['MLFLOW_RUN_ID'], 'status': 'FINISHED'})\n\
                  print('finished')\ntime.sleep(1000)";
    let mut trial = place.trial("early", 1, &["python3", "-c", script]);
    trial["register"] = serde_json::Value::Null;
    let mut running = Running::start(&mut place.worker(0, free_port(), &trial));
    running.says("finished");
    signal(running.pid(), Signal::KILL);
    drop(running);
    trial["program"]["command"] = serde_json::json!(["true"]);
    let (code, log) = place.run(&trial).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("done_before"), "{log}");
    let mut statuses: Vec<_> = place.mlflow.runs("early").await.iter().map(|run| format!("{:?}", run.status)).collect();
    statuses.sort();
    assert_eq!(statuses, ["Finished", "Killed"]);
}

fn child(line: &str) -> u32 {
    line.trim().strip_prefix("child ").unwrap().parse().unwrap()
}
