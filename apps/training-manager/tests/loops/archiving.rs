//! Jobs that have ended move to the history, after their logs were kept.

use std::time::Duration;

use slipway_forge::PullRequestState;
use slipway_training_manager::history::History;
use slipway_training_manager::manager::Published;
use slipway_training_manager::view::TrialState;

use crate::clock::{jump, until};
use crate::world::{DATA, EXPERIMENT, World, leader, pod, shown, with};

/// How often jobs that have ended are looked at, and checks.
const PAUSES: [Duration; 2] = [Duration::from_secs(600), Duration::from_secs(10)];
/// How long what comes of that may take until time jumps again.
const LOOK: Duration = Duration::from_secs(3);

#[tokio::test]
async fn ended_jobs_move_to_the_history_by_themselves_where_the_environment_says_so() {
    let world = World::with_settings(&["local"], EXPERIMENT, "  history: {after: 1s, merge: true}\n").await;
    let mut manager = world.manager("local", leader());
    manager.archive = Some(History {
        followed: manager.followed.clone(),
        mlflow: manager.mlflow.clone(),
        environment: "local".to_owned(),
    });
    let published = Published::default();
    let (number, jobs) = world.merge("local").await;
    with(&manager, &published, async {
        let archives = async || world.of_branches("slipway/history-local-").await;
        jobs.iter().for_each(|job| world.create(job));
        let run = world.run(&jobs[0]).await;
        let second = world.run(&jobs[1]).await;
        for rank in 0..2 {
            world.kubernetes.set_log(&pod(&jobs[0], rank), "epoch 1\n");
        }
        world.finish(&jobs[0], &run, 0.95, DATA).await;
        let client = &world.mlflow.client;
        let logs = async || client.list_artifacts(&run.artifact_uri).await.unwrap().len();
        until("its logs are kept", async || logs().await == 2).await;
        let ended = shown(&published, &jobs[0], |trial| {
            let is_known = trial.run.is_some() && trial.version.is_some() && trial.lineage.pull_request.is_some();
            trial.state == TrialState::Finished && is_known
        })
        .await;
        let is_there = async || {
            jump(PAUSES[0]).await;
            tokio::time::sleep(LOOK).await;
            !archives().await.is_empty()
        };
        until("the archive", is_there).await;

        let archive = archives().await.remove(0);
        assert_eq!(archive.title, "Record 1 ended TrainJob in local", "the other one runs");
        assert!(archive.is_open(), "its check is not green");
        world.judge(archive.number).await;
        jump(PAUSES[1]).await;
        until("it is merged", async || !archives().await[0].is_open()).await;
        assert_eq!(archives().await[0].state, PullRequestState::Merged);
        let main = world.main().await;
        let read =
            |folder: &str, job: &str| world.git.read(&main, &format!("overlays/local/{folder}/{job}.yaml")).unwrap();
        assert!(read("training-jobs", &jobs[0]).is_none() && read("training-jobs", &jobs[1]).is_some());
        let record = String::from_utf8(read("history", &jobs[0]).unwrap()).unwrap();
        assert!(record.contains(&run.run_id) && record.contains("state: finished"), "{record}");

        // Argo CD removes its objects; its report stays as it was, and the next archive waits for a day
        world.kubernetes.delete("trainjobs", &jobs[0]);
        let archived = || published.trainings.borrow().trial(&jobs[0]).filter(|trial| trial.archived).cloned();
        until("its record is shown", async || archived().is_some()).await;
        let kept = archived().unwrap();
        assert_eq!(ended.lineage.pull_request.as_ref().map(|one| one.number), Some(number));
        assert_eq!(kept.lineage, ended.lineage, "what it was made from stays known");
        assert_eq!((&kept.run, &kept.parameters, &kept.metrics), (&ended.run, &ended.parameters, &ended.metrics));
        assert_eq!((&kept.model, kept.version, kept.workers), (&ended.model, ended.version, ended.workers));
        world.finish(&jobs[1], &second, 0.94, DATA).await;
        world.reported(number, "2 trials finished").await;
        assert_eq!(archives().await.len(), 1);
    })
    .await;
}
