//! A training that cannot start: why, and what to do, is on its pull request within a minute.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use slipway_training_manager::manager::{Manager, Published};
use slipway_training_manager::schedule::Pace;
use tokio::time::Instant;

use crate::clock::at_speed;
use crate::world::{World, container, leader, now, pod, with};

/// From the merge to the comment, as fast as a real manager writes.
const LIMIT: Duration = Duration::from_secs(60);
/// Time passes so fast. What git and MLflow do seems slower by as much.
const SPEED: u32 = 2;

/// What holds up two trainings.
#[derive(Clone, Copy, Debug)]
enum Held {
    /// The namespace's quota, and an image that is not there.
    QuotaAndImage,
    /// No node has room, and the data are others than the experiment names.
    NodeAndData,
    /// The API server refuses one, and nothing has made the other.
    Refused,
}

impl Held {
    fn happens(self, world: &World, jobs: &[String]) {
        match self {
            Self::QuotaAndImage => {
                jobs.iter().for_each(|job| world.create(job));
                world.kubernetes.put(
                    "events",
                    json!({
                        "metadata": {"name": "quota"}, "type": "Warning", "reason": "FailedCreate", "lastTimestamp": now(),
                        "involvedObject": {"kind": "Job", "name": format!("{}-node-0", jobs[0])},
                        "message": format!("Error creating: pods \"{}-node-0-0-x7k2p\" is forbidden: exceeded quota: compute, \
                            requested: requests.cpu=1, used: requests.cpu=4, limited: requests.cpu=4", jobs[0]),
                    }),
                );
                let waits = json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}});
                world.pods(&jobs[1], &container("Pending", &waits));
            }
            Self::NodeAndData => {
                jobs.iter().for_each(|job| world.create(job));
                world.pods(
                    &jobs[0],
                    &json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                        "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu."}]}),
                );
                let refused = json!({"terminated": {"exitCode": 3, "reason": "Error", "startedAt": now(),
                    "message": "{\"event\":\"failed\",\"message\":\"the dataset ten has another digest\"}"}});
                world.pods(&jobs[1], &container("Failed", &refused));
                world.conclude(&jobs[1], "Failed", "FailedJobs", "jobset failed");
            }
            Self::Refused => {
                world.kubernetes.set_sync(Ok(json!([{"kind": "TrainJob", "name": jobs[0], "status": "SyncFailed",
                "message": "admission webhook \"policy.example.org\" denied the request: no label team"}])))
            }
        }
    }

    /// What the comment says of it.
    fn said(self) -> [&'static str; 4] {
        match self {
            Self::QuotaAndImage => [
                "the namespace's quota compute, requested: requests.cpu=1",
                "It starts when other jobs have ended.",
                "cannot be pulled: Back-off pulling image",
                "not started",
            ],
            Self::NodeAndData => [
                "no node can take it: 0/1 nodes are available: 1 Insufficient cpu",
                "ask for less in spec.workers",
                "is not valid: the dataset ten has another digest",
                "failed: ",
            ],
            Self::Refused => [
                "the webhook \"policy.example.org\" refuses it: no label team",
                "Change what it refuses",
                "its TrainJob is not in the cluster yet",
                "not started",
            ],
        }
    }
}

#[rstest]
#[case(Held::QuotaAndImage)]
#[case(Held::NodeAndData)]
#[case(Held::Refused)]
#[tokio::test]
async fn why_a_training_cannot_start_is_told_within_a_minute(#[case] held: Held) {
    let world = World::new().await;
    let manager = Manager { pace: Pace::default(), ..world.manager("local", leader()) };
    let published = Published::default();
    let scenario = async {
        let (number, jobs) = world.merge("local").await;
        let merged = Instant::now();
        held.happens(&world, &jobs);
        for text in held.said() {
            world.reported(number, text).await;
        }
        assert!(merged.elapsed() <= LIMIT, "{held:?} was told after {:?}", merged.elapsed());
    };
    at_speed(SPEED, with(&manager, &published, scenario)).await;
}

#[tokio::test]
async fn a_store_that_is_away_is_told_within_a_minute_until_the_training_begins() {
    let world = World::new().await;
    let manager = Manager { pace: Pace::default(), ..world.manager("local", leader()) };
    let published = Published::default();
    let scenario = async {
        let (number, jobs) = world.merge("local").await;
        let begun = Instant::now();
        for job in &jobs {
            world.create(job);
            world.pods(job, &container("Running", &json!({"running": {"startedAt": now()}})));
            // as the trainer's log has it
            let line = json!({"timestamp": now(), "level": "WARN", "event": "store_away", "seconds": 0.2,
                "message": "trying again: cannot reach the object store at http://minio:9000"});
            world.kubernetes.set_log(&pod(job, 0), &format!("{line}\n"));
        }
        for text in [
            "2 trials have not started",
            "its data cannot be had yet: cannot reach the object store at http://minio:9000",
            "`slipway status --cluster` shows whether the store is healthy",
        ] {
            world.reported(number, text).await;
        }
        assert!(begun.elapsed() <= LIMIT, "it was told after {:?}", begun.elapsed());
        for job in &jobs {
            world.kubernetes.update("trainjobs", job, |job| {
                job["status"] = json!({"trainerStatus": {"progressPercentage": 0, "lastUpdatedTime": now()}});
            });
        }
        let report = world.reported(number, "2 trials running").await;
        assert!(!report.contains("its data cannot be had"), "{report}");
    };
    at_speed(SPEED, with(&manager, &published, scenario)).await;
}
