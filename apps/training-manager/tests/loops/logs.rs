//! What workers printed is kept with their run.

use slipway_training_manager::manager::Published;

use crate::clock::{OFTEN, until, until_shown};
use crate::world::{DATA, World, leader, pod, with};

#[tokio::test]
async fn the_logs_of_a_job_that_has_ended_are_kept_once() {
    let world = World::new().await;
    let (_, jobs) = world.merge("local").await;
    let job = &jobs[0];
    world.create(job);
    let run = world.run(job).await;
    let client = world.mlflow.client.clone();
    let listed = async || client.list_artifacts(&run.artifact_uri).await.unwrap();
    let folder = client.list_artifacts(&format!("{}/logs", run.artifact_uri)).await.unwrap();
    assert!(folder.is_empty(), "to MLflow a folder that is not there yet is an empty one: {folder:?}");
    world.kubernetes.set_log(&pod(job, 0), "epoch 1\nepoch 2\n");
    world.kubernetes.set_log(&pod(job, 1), &"a long line of a worker\n".repeat(100_000));
    world.finish(job, &run, 0.95, DATA).await;
    let (manager, published) = (world.manager("local", leader()), Published::default());
    with(&manager, &published, async {
        until_shown("both logs", OFTEN, async || listed().await.len() == 2, async || format!("{:?}", listed().await))
            .await;
    })
    .await;
    let kept = listed().await;
    let paths: Vec<&str> = kept.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["logs/worker-0.log", "logs/worker-1.log"]);
    assert_eq!(kept[0].size, 16);
    assert!(kept[1].size <= 1 << 20 && kept[1].size > (1 << 20) - 100, "{kept:?}");
    // a log that is there is not written again, even if the pod says something else now
    world.kubernetes.set_log(&pod(job, 0), "other");
    world.kubernetes.set_log(&pod(&jobs[1], 0), "the other one\n");
    world.kubernetes.set_log(&pod(&jobs[1], 1), "the other one\n");
    let (manager, published) = (world.manager("local", leader()), Published::default());
    with(&manager, &published, async {
        // by the time that those of another job are there, the first one has been looked at again
        world.create(&jobs[1]);
        let second = world.run(&jobs[1]).await;
        crate::world::shown(&published, job, |trial| trial.version.is_some()).await;
        world.finish(&jobs[1], &second, 0.95, DATA).await;
        let both = async || client.list_artifacts(&second.artifact_uri).await.unwrap().len() == 2;
        until("the logs of the other job", both).await;
    })
    .await;
    assert_eq!(listed().await, kept);
}
