//! Jobs that have ended move to the history, after their logs were kept.

use std::time::Duration;

use rstest::rstest;
use slipway_forge::{Opened, PullRequest, PullRequestState};
use slipway_git::Update;
use slipway_training_manager::history::History;
use slipway_training_manager::manager::{Manager, Published};
use slipway_training_manager::view::TrialState;

use crate::clock::{jump, until};
use crate::world::{DATA, EXPERIMENT, World, leader, pod, shown, with};

/// How often jobs that have ended are looked at, and checks.
const PAUSES: [Duration; 2] = [Duration::from_secs(600), Duration::from_secs(10)];
/// How long what comes of that may take until time jumps again.
const LOOK: Duration = Duration::from_secs(3);

/// The environment moves what has ended by itself.
const SETTINGS: &str = "  history: {after: 1s, merge: true}\n";
/// The most that a life lasts, in milliseconds.
const LIFE: u64 = 400;

/// A manager that leads, and archives.
fn archiving(world: &World) -> Manager {
    let manager = world.manager("local", leader());
    let archive =
        History { followed: manager.followed.clone(), mlflow: manager.mlflow.clone(), environment: "local".to_owned() };
    Manager { archive: Some(archive), ..manager }
}

async fn archives(world: &World) -> Vec<Opened> {
    world.of_branches("slipway/history-local-").await
}

/// A world in which two jobs have ended long enough ago, of which there is no log to be kept.
async fn ended() -> (World, Vec<String>) {
    let world = World::with_settings(&["local"], EXPERIMENT, SETTINGS).await;
    let (_, jobs) = world.merge("local").await;
    for job in &jobs {
        world.create(job);
        world.conclude(job, "Failed", "FailedJobs", "no worker was ever there");
    }
    // ends are known to the second
    tokio::time::sleep(Duration::from_secs(3)).await;
    (world, jobs)
}

#[rstest]
#[case::a_few(12)]
#[ignore = "takes minutes: `make test-faults`"]
#[case::a_hundred(100)]
#[tokio::test]
async fn kills_archive_nothing_twice(#[case] kills: usize) {
    let (world, jobs) = ended().await;
    let seed = 5;
    let mut rng = fastrand::Rng::with_seed(seed);
    for kill in 0..kills {
        let (manager, published) = (archiving(&world), Published::default());
        let life = Duration::from_millis(rng.u64(0..LIFE));
        with(&manager, &published, async {
            if kill % 4 == 2 {
                // so that an archive that was forgotten would get another branch
                world.push("experiments/README.md", Some(&format!("{kill}\n")));
            }
            tokio::time::sleep(life).await;
        })
        .await;
        let found = archives(&world).await;
        assert!(found.len() <= 1, "seed {seed}, kill {kill}: {found:?}");
    }
    let (manager, published) = (archiving(&world), Published::default());
    with(&manager, &published, async {
        until("the archive", async || !archives(&world).await.is_empty()).await;
        let archive = archives(&world).await.remove(0);
        assert_eq!(archive.title, "Record 2 ended TrainJobs in local");
        world.judge(archive.number).await;
        let is_merged = async || {
            jump(PAUSES[1]).await;
            tokio::time::sleep(LOOK).await;
            !archives(&world).await[0].is_open()
        };
        until("it is merged", is_merged).await;
    })
    .await;
    let main = world.main().await;
    for job in &jobs {
        assert!(world.git.read(&main, &format!("overlays/local/history/{job}.yaml")).unwrap().is_some());
    }
    assert_eq!(archives(&world).await.len(), 1, "and none on the same day");
}

#[tokio::test]
async fn of_two_archives_the_first_one_stays() {
    let (world, _) = ended().await;
    // both take themselves for the leader
    let (one, other) = (archiving(&world), archiving(&world));
    let (in_one, in_other) = (Published::default(), Published::default());
    let scenario = async {
        until("the archive", async || !archives(&world).await.is_empty()).await;
        tokio::time::sleep(LOOK).await;
        let open = async || archives(&world).await.into_iter().filter(Opened::is_open).collect::<Vec<_>>();
        until("one is left", async || open().await.len() == 1).await;
        let open = open().await;
        // whoever opened this one was killed before it could look for others
        let main = world.main().await;
        let branch = "slipway/history-local-0123abcd-89abcdef".to_owned();
        let changes = [("experiments/README.md".to_owned(), Some(b"another\n".to_vec()))].into();
        let commit = world.git.commit(Some(&main), &changes, "Record 1 ended TrainJob in local").unwrap();
        let name = format!("refs/heads/{branch}");
        assert!(world.git.update(&[Update { name: &name, to: &commit, from: None }]).unwrap());
        let later = PullRequest {
            branch,
            base: "main".to_owned(),
            title: "Record 1 ended TrainJob in local".to_owned(),
            body: String::new(),
            draft: false,
            labels: Vec::new(),
            reviewers: Vec::new(),
        };
        let later = world.remote.forge.open(&later).await.unwrap().number;
        let is_closed = async || {
            jump(PAUSES[0]).await;
            tokio::time::sleep(LOOK).await;
            world.remote.forge.get(later).await.unwrap().state == PullRequestState::Closed
        };
        until("the later one is closed", is_closed).await;
        let first = world.remote.forge.get(open[0].number).await.unwrap();
        assert!(first.is_open() && first.number < later, "{first:?}");
    };
    with(&one, &in_one, with(&other, &in_other, scenario)).await;
}

#[tokio::test]
async fn ended_jobs_move_to_the_history_by_themselves_where_the_environment_says_so() {
    let world = World::with_settings(&["local"], EXPERIMENT, SETTINGS).await;
    let (manager, published) = (archiving(&world), Published::default());
    let (number, jobs) = world.merge("local").await;
    with(&manager, &published, async {
        let archives = async || archives(&world).await;
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
