//! Attempts that go on where the one before them died.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use slipway_mlflow::RunStatus;

use crate::place::{EPOCHS, Place};
use crate::worker::{Running, free_port};

/// The step that a log says training was resumed at.
fn resumed_at(log: &str) -> u64 {
    let line = log.lines().find(|line| line.contains("\"event\":\"resumed\"")).unwrap_or_else(|| panic!("{log}"));
    serde_json::from_str::<Value>(line).unwrap()["step"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_workers_are_killed_registers_the_same_model_as_one_that_nobody_disturbs() {
    let place = Place::new().await;
    for workers in [1, 2] {
        let whole = format!("whole-{workers}");
        place.finish(&place.trial(&whole, workers)).await;
        for victim in 0..workers {
            let name = format!("killed-{workers}-{victim}");
            let trial = place.trial(&name, workers);
            let mut running = place.start(&trial, "0.05");
            running[0].until_it_trains();
            for _ in 0..2 {
                running[0].until("\"event\":\"checkpoint\"");
            }
            running.remove(victim).kill();
            let ended = tokio::task::spawn_blocking(move || running.into_iter().map(Running::end).collect::<Vec<_>>());
            for (code, log) in ended.await.unwrap() {
                assert_eq!(code, Some(8), "{log}");
            }
            let log = place.finish(&trial).await;
            assert!(resumed_at(&log) > 0 && log.contains("run_continued"), "{log}");
            place.check(&name).await;
            assert_eq!(place.result(&name).await, place.result(&whole).await, "{name}");
        }
    }
}

/// The default interval is half a minute, so only SIGTERM is the reason for this checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_stores_a_checkpoint_within_two_seconds() {
    let place = Place::new().await;
    let trial = place.trial("stopped", 1);
    let mut running = place.start(&trial, "30").remove(0);
    running.until_it_trains();
    running.terminate();
    running.until("\"event\":\"checkpoint\"");
    let (code, log) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(143), "{log}");
    // what the worker says after two seconds
    assert!(!log.contains("checkpoint_missed"), "{log}");
    assert_eq!(place.mlflow.run("stopped").await.status, RunStatus::Killed);
    assert!(resumed_at(&place.finish(&trial).await) > 0);
    place.check("stopped").await;
}

/// Rank 0 keeps what the workers had done when one of them died.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_another_worker_stores_what_is_done() {
    let place = Place::new().await;
    let trial = place.trial("lost", 2);
    let mut running = place.start(&trial, "30");
    running[0].until_it_trains();
    running.remove(1).kill();
    let (code, log) = tokio::task::spawn_blocking(move || running.remove(0).end()).await.unwrap();
    assert_eq!(code, Some(8), "{log}");
    assert!(log.contains("\"event\":\"checkpoint\""), "{log}");
    assert!(resumed_at(&place.finish(&trial).await) > 0);
    place.check("lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_for_a_while_costs_checkpoints_and_nothing_else() {
    let place = Place::new().await;
    let trial = place.trial("away", 1);
    // as long as it takes; what follows then has fewer epochs
    let mut endless = trial.clone();
    endless["training"]["epochs"] = 1_000_000.into();
    let mut running = place.start(&endless, "0.05").remove(0);
    running.until_it_trains();
    running.until("\"event\":\"checkpoint\"");
    place.objects.set_away(true);
    let failed = tokio::task::spawn_blocking(move || {
        running.until("\"event\":\"checkpoint_failed\"");
        running
    });
    let mut running = failed.await.unwrap();
    place.objects.set_away(false);
    running.until("\"event\":\"checkpoint\"");
    running.kill();
    let log = place.finish(&trial).await;
    assert!(resumed_at(&log) > 0, "{log}");
    let run = place.mlflow.run("away").await;
    let epochs = place.history(&run.run_id, "validation_accuracy").await.len();
    let losses: Vec<_> = place.history(&run.run_id, "loss").await.iter().map(|loss| loss.step).collect();
    assert_eq!(losses, (0..losses.len() as i64).collect::<Vec<_>>());
    assert!(epochs >= EPOCHS && losses.len() >= EPOCHS * 50);
}

/// A step copies what a checkpoint needs, and does not wait until that is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_stops_no_step() {
    let place = Place::new().await;
    let trial = place.trial("hanging", 1);
    let held = place.objects.faults.hold("PUT", "/hanging/1/");
    let mut running = place.start(&trial, "0.05").remove(0);
    running.until_it_trains();
    held.arrived().await;
    // all steps are made, and the model is registered
    let (code, log) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("checkpoint_missed") && !log.contains("\"event\":\"checkpoint\""), "{log}");
    place.check("hanging").await;
}

/// A worker on a node that nobody reaches trains on, while another attempt has begun.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_taken_for_dead_ends_and_leaves_the_run_alone() {
    let place = Place::new().await;
    let mut trial = place.trial("twice", 1);
    trial["training"]["epochs"] = 1_000_000.into();
    let mut first = place.start(&trial, "0.05").remove(0);
    first.until_it_trains();
    first.until("\"event\":\"checkpoint\"");
    let mut second = place.start(&trial, "0.05").remove(0);
    second.until_it_trains_again();
    let (code, log) = tokio::task::spawn_blocking(move || first.end()).await.unwrap();
    assert_eq!(code, Some(8), "{log}");
    assert!(log.contains("attempt 2 has begun"), "{log}");
    let run = place.mlflow.run("twice").await;
    assert_eq!(run.status, RunStatus::Running, "it is the second's: {log}");
    second.kill();
}

/// Without the right to write, a cluster trains as before there were checkpoints.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_costs_the_checkpoints() {
    let place = Place::new().await;
    let mut trial = place.trial("refused", 1);
    trial["training"]["epochs"] = 1.into();
    let nowhere = |command: &mut Command, uri: &str| {
        let running = Running::start(command.env("SLIPWAY_CHECKPOINT_STORE", uri));
        tokio::task::spawn_blocking(move || running.end())
    };
    let (code, log) = nowhere(&mut place.worker(0, free_port(), &trial, "30"), "s3://nothing").await.unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("training goes on without checkpoints") && log.contains("s3://nothing/refused"), "{log}");
    let (code, log) = nowhere(&mut place.worker(0, free_port(), &trial, "30"), "nothing").await.unwrap();
    assert_eq!(code, Some(0), "what is done before needs no store: {log}");
    trial["name"] = "malformed".into();
    let (code, log) = nowhere(&mut place.worker(0, free_port(), &trial, "30"), "nothing").await.unwrap();
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("SLIPWAY_CHECKPOINT_STORE"), "{log}");
}

/// Damage is found by the digest, and the checkpoint before is used.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_is_named_and_the_one_before_is_used() {
    let place = Place::new().await;
    let trial = place.trial("damaged", 1);
    let mut running = place.start(&trial, "0.05").remove(0);
    running.until_it_trains();
    for _ in 0..3 {
        running.until("\"event\":\"checkpoint\"");
    }
    running.kill();
    damage_newest(&place.objects.checkpoints_of("damaged"));
    let log = place.finish(&trial).await;
    assert!(log.contains("checkpoint_set_aside") && log.contains("its shard parameters"), "{log}");
    assert!(resumed_at(&log) > 0, "{log}");
    place.check("damaged").await;
}

/// Cuts the parameters of the newest checkpoint.
fn damage_newest(folder: &Path) {
    let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let shards = manifest["checkpoints"][0]["shards"].as_array().unwrap();
    let parameters = shards.iter().find(|shard| shard["name"] == "parameters").unwrap();
    let hex = parameters["digest"].as_str().unwrap().trim_start_matches("sha256:");
    let path = folder.join(parameters["attempt"].to_string()).join(hex);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}
