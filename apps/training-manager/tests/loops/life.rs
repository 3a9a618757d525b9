//! The life of a training, as the comment on its pull request and the read model tell it.

use std::time::Duration;

use serde_json::json;
use slipway_forge::PullRequestState;
use slipway_proposal::{Opening, Promotion};
use slipway_training_manager::manager::Published;
use slipway_training_manager::view::TrialState;

use crate::clock::{jump, until};
use crate::world::{DATA, EXPERIMENT, World, container, leader, shown, with};

#[tokio::test]
async fn a_training_is_reported_from_its_merge_to_its_promotion() {
    let world = World::new().await;
    let (manager, published) = (world.manager("local", leader()), Published::default());
    with(&manager, &published, async {
        let (number, jobs) = world.merge("local").await;
        world.reported(number, "2 trials waiting").await;

        // one worker has no place
        let waits = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient cpu."}]});
        jobs.iter().for_each(|job| world.create(job));
        world.pods(&jobs[0], &waits);
        let report = world.reported(number, "not started").await;
        assert!(report.contains("`no node can take it: 0/1 nodes are available: 1 Insufficient cpu`"), "{report}");
        let trial = shown(&published, &jobs[0], |trial| trial.reason.is_some()).await;
        assert!(trial.advice.as_ref().unwrap().contains("ask for less in spec.workers"), "{trial:?}");

        let first = world.run(&jobs[0]).await;
        let second = world.run(&jobs[1]).await;
        world.reported(number, "2 trials running").await;
        world.kubernetes.update("trainjobs", &jobs[0], |job| {
            job["status"] = json!({"trainerStatus": {"progressPercentage": 40, "estimatedRemainingSeconds": 90,
                "lastUpdatedTime": crate::world::now(), "metrics": [{"name": "loss", "value": "0.5"}]}});
        });
        let trial = shown(&published, &jobs[0], |trial| trial.progress.is_some() && trial.run.is_some()).await;
        assert_eq!((trial.state, trial.progress.unwrap().percent, trial.metrics["loss"]), (TrialState::Running, 40, 0.5));
        assert_eq!(trial.lineage.pull_request.as_ref().unwrap().number, number);
        assert_eq!((trial.worker_states.len(), trial.workers, trial.lineage.dataset.as_str()), (2, 2, "ten"));
        assert!(trial.run.as_ref().unwrap().url.as_ref().unwrap().starts_with("https://mlflow.example.org/#/experiments/"));

        world.finish(&jobs[0], &first, 0.97, DATA).await;
        world.reported(number, "1 finished, 1 running").await;
        assert!(world.promotions().await.is_empty(), "the other one may be better");
        world.finish(&jobs[1], &second, 0.98, DATA).await;
        let report = world.reported(number, "promotion").await;
        let promotions = world.promotions().await;
        assert_eq!(promotions.len(), 1, "{promotions:?}");
        assert_eq!(manager.metrics.promotions.get(), 1);
        assert_eq!(promotions[0].title, "Serve mnist version 2 in local");
        assert!(report.contains(&format!("promotion `#{}`", promotions[0].number)), "{report}");
        let trial = shown(&published, &jobs[1], |trial| trial.version.is_some()).await;
        assert_eq!((trial.state, trial.version, trial.progress), (TrialState::Finished, Some(2), None));
        assert!(trial.ended.is_some() && trial.cpu_hours.is_some() && trial.cost.as_ref().unwrap().currency == "EUR", "{trial:?}");
        let experiment = published.trainings.borrow().experiments["digits"].clone();
        assert_eq!((experiment.states[&TrialState::Finished], experiment.source.as_str()), (2, EXPERIMENT));

        // merged by a person, it is in service, and its own pull request says so too
        world.merge_opened(&promotions[0]).await;
        world.reported(number, "version 2 is in service").await;
        world.reported(promotions[0].number, "changed 1 version in service").await;
        let back = format!("To go back, run `slipway revert {}`", promotions[0].number);
        world.reported(promotions[0].number, &back).await;
    })
    .await;
}

#[tokio::test]
async fn a_promotion_that_was_closed_is_not_opened_again() {
    let world = World::new().await;
    let (manager, published) = (world.manager("local", leader()), Published::default());
    let (number, jobs) = world.merge("local").await;
    with(&manager, &published, async {
        world.finish_both(&jobs, [0.95, 0.94]).await;
        until("the promotion", async || world.promotions().await.len() == 1).await;
    })
    .await;
    let promotion = world.promotions().await[0].number;
    world.remote.forge.close(promotion).await.unwrap();
    // main moves, so that another one would be another branch
    world.push("experiments/README.md", Some("what is tried here\n"));
    for _ in 0..3 {
        let (manager, published) = (world.manager("local", leader()), Published::default());
        with(&manager, &published, async {
            world.reported(number, "`slipway promote mnist --version 1` puts it into service").await;
        })
        .await;
    }
    let promotions = world.promotions().await;
    assert_eq!(promotions.len(), 1, "{promotions:?}");
    assert_eq!(promotions[0].state, PullRequestState::Closed);
}

#[tokio::test]
async fn a_promotion_that_a_newer_one_has_overtaken_is_closed_with_the_reason() {
    let world = World::new().await;
    let (manager, published) = (world.manager("local", leader()), Published::default());
    let (_, jobs) = world.merge("local").await;
    let older = with(&manager, &published, async {
        world.finish_both(&jobs, [0.94, 0.95]).await;
        until("the promotion", async || world.promotions().await.len() == 1).await;
        let older = world.promotions().await.remove(0);
        let (_, more) = world.merge_another("local", "0.0005").await;
        world.create(&more[0]);
        let run = world.run(&more[0]).await;
        world.finish(&more[0], &run, 0.99, DATA).await;
        until("the newer promotion", async || world.promotions().await.len() == 2).await;
        let newer = world.promotions().await.remove(0);
        assert_eq!(
            (older.title.as_str(), newer.title.as_str()),
            ("Serve mnist version 2 in local", "Serve mnist version 3 in local")
        );
        assert!(world.remote.forge.get(older.number).await.unwrap().is_open(), "nobody has decided yet");

        world.merge_opened(&newer).await;
        until("the older one is closed", async || {
            world.remote.forge.get(older.number).await.unwrap().state == PullRequestState::Closed
        })
        .await;
        let report = world.reported(older.number, &format!("### Slipway: superseded by #{}", newer.number)).await;
        for words in [
            "has put version 3 of `mnist` into service in `local`",
            "`slipway promote mnist --version 2 --environment local`",
        ] {
            assert!(report.contains(words), "{words}: {report}");
        }
        older
    })
    .await;
    // a person who promotes it all the same opens another one
    let versions = world.mlflow.client.search_model_versions("mnist").await.unwrap();
    let wanted = versions.iter().find(|version| version.version == "2").unwrap();
    let again = Promotion::prepare(&world.git, &world.remote, "local", wanted).await.unwrap();
    let again = again.open(&world.git, &world.remote, None, Opening::default()).await.unwrap();
    assert_ne!(again.number, older.number);
}

#[tokio::test]
async fn the_account_of_the_manager_is_enough_to_report_promote_and_merge() {
    let merged = EXPERIMENT.replace("spec:\n", "spec:\n  promote: {merge: [local]}\n  environments: [local]\n");
    let world = World::with(&["local"], &merged).await.with_accounts().await;
    let (manager, published) = (world.manager("local", leader()), Published::default());
    let (number, jobs) = world.merge("local").await;
    with(&manager, &published, async {
        let runs = world.finish_both(&jobs, [0.95, 0.96]).await;
        until("the promotion", async || !world.promotions().await.is_empty()).await;
        let promotion = world.promotions().await.remove(0);
        world.reported(number, &format!("promotion `#{}`", promotion.number)).await;
        let run = world.mlflow.client.get_run(&runs[1].run_id).await.unwrap();
        assert_eq!(run.tags["slipway.promotion.local"], promotion.number.to_string());
        world.judge(promotion.number).await;
        jump(Duration::from_secs(10)).await;
        world.reported(number, "version 2 is in service").await;
        assert_eq!(manager.metrics.report_failures.get(), 0);
        assert_eq!(manager.metrics.promotions.get(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_promotion_is_merged_without_a_person_where_the_experiment_says_so() {
    let merged = EXPERIMENT.replace("spec:\n", "spec:\n  promote: {merge: [local]}\n  environments: [local]\n");
    let world = World::with(&["local"], &merged).await;
    let (manager, published) = (world.manager("local", leader()), Published::default());
    let (number, jobs) = world.merge("local").await;
    with(&manager, &published, async {
        world.finish_both(&jobs, [0.95, 0.96]).await;
        until("the promotion", async || !world.promotions().await.is_empty()).await;
        let promotion = world.promotions().await.remove(0);
        // checks are looked at every few seconds, and there is none yet
        let said = format!("promotion `#{}`", promotion.number);
        assert!(world.reported(number, &said).await.contains("2 trials finished"));
        assert!(world.promotions().await[0].is_open(), "its check is not green");
        world.judge(promotion.number).await;
        jump(Duration::from_secs(10)).await;
        world.reported(number, "version 2 is in service").await;
        let promotions = world.promotions().await;
        assert_eq!(promotions.len(), 1, "{promotions:?}");
        assert_eq!(promotions[0].state, PullRequestState::Merged);
        let main = world.main().await;
        let models = world.git.read(&main, "overlays/local/server/models.yaml").unwrap().unwrap();
        let models = String::from_utf8(models).unwrap();
        assert!(models.contains("mnist"), "{models}");
    })
    .await;
}

#[tokio::test]
async fn a_version_is_proposed_by_nobody_where_the_experiment_says_so() {
    let never = EXPERIMENT.replace("spec:\n", "spec:\n  promote: never\n");
    let world = World::with(&["local"], &never).await;
    let (manager, published) = (world.manager("local", leader()), Published::default());
    let (number, jobs) = world.merge("local").await;
    with(&manager, &published, async {
        world.finish_both(&jobs, [0.95, 0.96]).await;
        world.reported(number, "2 trials finished").await;
        // whoever writes this would have opened the promotion before
        world.reported(number, "`slipway promote mnist --version 2` puts it into service").await;
        assert!(world.promotions().await.is_empty());
        assert_eq!(manager.metrics.promotions.get(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_promotion_waits_for_a_person_in_an_environment_that_the_experiment_does_not_name() {
    let elsewhere =
        EXPERIMENT.replace("spec:\n", "spec:\n  promote: {merge: [staging]}\n  environments: [local, staging]\n");
    let world = World::with(&["local", "staging"], &elsewhere).await;
    let (manager, published) = (world.manager("local", leader()), Published::default());
    let (number, jobs) = world.merge("local").await;
    with(&manager, &published, async {
        world.finish_both(&jobs, [0.95, 0.96]).await;
        until("the promotion", async || !world.promotions().await.is_empty()).await;
        let promotion = world.promotions().await.remove(0);
        world.reported(number, &format!("promotion `#{}`", promotion.number)).await;
        world.judge(promotion.number).await;
        // where it is merged, its check is looked at every few seconds
        for _ in 0..3 {
            jump(Duration::from_secs(10)).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let promotions = world.promotions().await;
        assert!(promotions.len() == 1 && promotions[0].is_open(), "{promotions:?}");
    })
    .await;
}

#[tokio::test]
async fn what_the_cluster_refuses_is_told_in_its_own_words() {
    let world = World::new().await;
    let (manager, published) = (world.manager("local", leader()), Published::default());
    with(&manager, &published, async {
        let (number, jobs) = world.merge("local").await;
        world.create(&jobs[1]);
        world.reported(number, "2 trials waiting").await;
        // without the right to ask Argo CD it is only known to be missing
        world.kubernetes.set_sync(Err(403));
        world.reported_later(number, "its TrainJob is not in the cluster yet").await;
        world.kubernetes.set_sync(Ok(json!([{"kind": "TrainJob", "name": jobs[0], "status": "SyncFailed",
            "message": "admission webhook \"policy.example.org\" denied the request: no label team"}])));
        world.reported_later(number, "the webhook \"policy.example.org\" refuses it: no label team").await;
        let trial = shown(&published, &jobs[0], |trial| trial.reason.is_some()).await;
        assert!(trial.advice.as_ref().unwrap().contains("Change what it refuses"), "{trial:?}");
    })
    .await;
}

#[tokio::test]
async fn what_the_cluster_knows_wins_where_mlflow_cannot_know() {
    let world = World::new().await;
    let (manager, published) = (world.manager("local", leader()), Published::default());
    with(&manager, &published, async {
        let (number, jobs) = world.merge("local").await;
        jobs.iter().for_each(|job| world.create(job));
        // its run stays open for ever
        world.run(&jobs[0]).await;
        let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": crate::world::now()}});
        world.pods(&jobs[0], &container("Failed", &killed));
        world.conclude(&jobs[0], "Failed", "FailedJobs", "jobset failed");
        // it never had one
        let refused = json!({"terminated": {"exitCode": 3, "reason": "Error", "startedAt": crate::world::now(),
            "message": "{\"event\":\"failed\",\"message\":\"the dataset ten has another digest\"}"}});
        world.pods(&jobs[1], &container("Failed", &refused));
        world.conclude(&jobs[1], "Failed", "FailedJobs", "jobset failed");
        let report = world.reported(number, "2 trials failed").await;
        assert!(
            report.contains("failed: `a worker ran out of memory. Raise spec.workers.memory of the experiment.`"),
            "{report}"
        );
        assert!(report.contains("is not valid: the dataset ten has another digest"), "{report}");
        let trial = shown(&published, &jobs[0], |trial| trial.state == TrialState::Failed).await;
        assert_eq!(trial.advice.as_deref(), Some("Raise spec.workers.memory of the experiment."));

        // a file that goes takes its job along, and its report says so
        world.push(&format!("overlays/local/training-jobs/{}.yaml", jobs[0]), None);
        world.kubernetes.delete("trainjobs", &jobs[0]);
        world.reported(number, "1 failed, 1 cancelled").await;
    })
    .await;
}

#[tokio::test]
async fn two_environments_share_a_comment() {
    let both = EXPERIMENT.replace("spec:\n", "spec:\n  environments: [local, staging]\n");
    let world = World::with(&["local", "staging"], &both).await;
    // two clusters with their own jobs, here of the same names
    let other = World::with(&["local", "staging"], &both).await;
    let (local, in_local) = (world.manager("local", leader()), Published::default());
    let mut staging = world.manager("staging", leader());
    (staging.cluster, staging.mlflow) = (other.kubernetes.cluster(), other.mlflow.client.clone());
    let in_staging = Published::default();
    let scenario = async {
        let (number, jobs) = world.merge("local").await;
        let report = world.reported(number, "### Slipway in `local`: 2 trials waiting").await;
        assert!(!report.contains("Slipway starts"), "{report}");
        world.reported(number, "### Slipway in `staging`: 2 trials waiting").await;
        for job in &jobs {
            world.create(job);
            other.create(job);
        }
        let mut runs = Vec::new();
        for job in &jobs {
            runs.push(world.run(job).await);
        }
        world.reported(number, "### Slipway in `local`: 2 trials running").await;
        other.conclude(&jobs[0], "Failed", "FailedJobs", "no");
        world.reported(number, "### Slipway in `staging`: 2 trials: 1 failed, 1 waiting").await;
        for (job, run) in jobs.iter().zip(&runs) {
            world.finish(job, run, 0.95, DATA).await;
        }
        let report = world.reported(number, "### Slipway in `local`: 2 trials finished").await;
        assert!(report.contains("### Slipway in `staging`: 2 trials: 1 failed, 1 waiting"), "{report}");
    };
    with(&local, &in_local, with(&staging, &in_staging, scenario)).await;
}
