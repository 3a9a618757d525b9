//! What workers printed is kept with their run.

use std::time::{Duration, Instant};

use slipway_training_manager::manager::Published;

use crate::world::{DATA, World, leader, pod, with};

#[tokio::test]
async fn the_logs_of_a_job_that_has_ended_are_kept_once() {
    let world = World::new().await;
    let (_, jobs) = world.merge("local").await;
    let job = &jobs[0];
    world.create(job);
    let run = world.run(job).await;
    world.kubernetes.set_log(&pod(job, 0), "epoch 1\nepoch 2\n");
    world.kubernetes.set_log(&pod(job, 1), &"a long line of a worker\n".repeat(100_000));
    world.finish(job, &run, 0.95, DATA).await;
    let client = world.mlflow.client.clone();
    let (manager, published) = (world.manager("local", leader()), Published::default());
    let kept = with(&manager, &published, async {
        let begun = Instant::now();
        loop {
            let kept = client.list_artifacts(&run.artifact_uri).await.unwrap();
            if kept.len() == 2 {
                return kept;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{kept:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let paths: Vec<&str> = kept.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["logs/worker-0.log", "logs/worker-1.log"]);
    assert_eq!(kept[0].size, 16);
    assert!(kept[1].size <= 1 << 20 && kept[1].size > (1 << 20) - 100, "{kept:?}");
    // a log that is there is not written again, even if the pod says something else now
    world.kubernetes.set_log(&pod(job, 0), "other");
    let (manager, published) = (world.manager("local", leader()), Published::default());
    with(&manager, &published, async {
        crate::world::shown(&published, job, |trial| trial.version.is_some()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    })
    .await;
    assert_eq!(client.list_artifacts(&run.artifact_uri).await.unwrap(), kept);
}
