//! What the default branch declares, and which commits brought it.

use serde_json::json;
use slipway_experiment::{JobResult, JobState, Record, read_job};
use slipway_git::Update;
use slipway_training_manager::declared::Declared;
use slipway_training_manager::promotions::Policy;
use slipway_training_manager::view::Removal;
use time::OffsetDateTime;

use crate::world::{EXPERIMENT, World};

fn main_of(world: &World) -> String {
    world.git.reference("refs/heads/main").unwrap().unwrap()
}

fn read(world: &World, before: &Declared) -> Declared {
    Declared::read(&world.git, &main_of(world), "local", Some("https://mlflow.example.org/"), before).unwrap()
}

#[tokio::test]
async fn each_job_knows_the_commits_that_brought_it() {
    let world = World::new().await;
    let empty = read(&world, &Declared::default());
    assert_eq!((empty.jobs.len(), empty.experiments.len()), (0, 1));
    let digits = &empty.experiments["digits"];
    assert_eq!(
        (digits.source.as_str(), digits.model.as_deref(), digits.policy),
        (EXPERIMENT, Some("mnist"), Policy::Propose)
    );
    assert_eq!(empty.commits.newest.len(), 1, "the first commit has the list of versions in service");

    let (_, jobs) = world.merge("local").await;
    let started = read(&world, &empty);
    let merge = main_of(&world);
    let mut names: Vec<&String> = started.jobs.keys().collect();
    names.sort();
    let mut expected: Vec<&String> = jobs.iter().collect();
    expected.sort();
    assert_eq!(names, expected);
    let job = &started.jobs[&jobs[0]];
    assert_eq!((job.workers, job.cpus, job.gpus, job.model.as_deref()), (2, 2.0, 0.0, Some("mnist")));
    assert_eq!(
        (&job.parameters["training.optimizer.learningRate"], &job.fixed["training.epochs"]),
        (&json!(0.001), &json!(3))
    );
    assert_eq!(job.dataset.as_ref().unwrap().name, "ten");
    assert_eq!((job.experiment_file.as_str(), job.experiment_blob.len()), ("experiments/digits.yaml", 40));
    for job in &jobs {
        assert_eq!(started.commits.first(job).unwrap().commit, merge);
        assert!(started.branch.asks_for("local", job));
    }
    assert_eq!(started.commits.newest[0], merge);

    // one goes, something else happens, and it comes back
    let path = format!("overlays/local/training-jobs/{}.yaml", jobs[0]);
    let text = String::from_utf8(world.git.read(&merge, &path).unwrap().unwrap()).unwrap();
    world.push(&path, None);
    let gone = read(&world, &started);
    assert_eq!((gone.jobs.len(), gone.branch.asks_for("local", &jobs[0])), (1, false));
    assert_eq!(gone.commits.first(&jobs[0]).unwrap().commit, merge, "its report is still to be written");
    let removed = &gone.removed[&jobs[0]];
    assert_eq!((removed.removal, removed.job.as_ref()), (Removal::Cancelled, started.jobs[&jobs[0]].as_ref()));
    world.push("experiments/README.md", Some("x\n"));
    world.push(&path, Some(&text));
    let back = read(&world, &gone);
    assert_eq!(back.commits.of_jobs[&jobs[0]].len(), 2);
    assert!(back.removed.is_empty(), "it is asked for again");
    assert_eq!(back.commits.first(&jobs[0]).unwrap().commit, merge, "as `slipway trace` says it");
    assert_eq!(back.commits.jobs_of(&main_of(&world)), [jobs[0].clone()]);
    assert_eq!(back.commits.newest.len(), 4);
    // read at once it is the same as step by step
    assert_eq!(read(&world, &Declared::default()).commits, back.commits);
    // a branch that was moved elsewhere is read from its beginning
    let elsewhere = Declared { commit: "1".repeat(40), commits: back.commits.clone(), ..Declared::default() };
    assert_eq!(read(&world, &elsewhere).commits, back.commits);
}

#[tokio::test]
async fn what_takes_the_place_of_a_job_replaces_it() {
    let world = World::new().await;
    let (_, jobs) = world.merge("local").await;
    let before = read(&world, &Declared::default());
    let file = |job: &str| format!("overlays/local/training-jobs/{job}.yaml");
    let text = String::from_utf8(world.git.read(&main_of(&world), &file(&jobs[0])).unwrap().unwrap()).unwrap();
    let moved = |files: &[(String, Option<String>)]| {
        let changes = files.iter().map(|(path, text)| (path.clone(), text.clone().map(String::into_bytes))).collect();
        let main = main_of(&world);
        let commit = world.git.commit(Some(&main), &changes, "moved").unwrap();
        assert!(world.git.update(&[Update { name: "refs/heads/main", to: &commit, from: Some(&main) }]).unwrap());
    };
    // one of another experiment is no replacement
    moved(&[(file(&jobs[0]), None), (file("others-0badcafe"), Some(text.clone()))]);
    let taken_out = read(&world, &before);
    assert_eq!(taken_out.removed[&jobs[0]].removal, Removal::Cancelled);
    moved(&[(file(&jobs[1]), None), (file("digits-0badcafe"), Some(text))]);
    let replaced = read(&world, &taken_out);
    assert_eq!(replaced.removed[&jobs[1]].removal, Removal::Replaced);
    assert!(std::sync::Arc::ptr_eq(&replaced.removed[&jobs[0]], &taken_out.removed[&jobs[0]]), "it is not read again");
    let at_once = read(&world, &Declared::default());
    assert_eq!((&at_once.removed, &at_once.commits), (&replaced.removed, &replaced.commits));
}

#[tokio::test]
async fn an_environment_with_a_mistake_declares_no_jobs_and_still_asks_for_them() {
    let world = World::new().await;
    let (_, jobs) = world.merge("local").await;
    world.push("clusters/local/cluster.yaml", Some("kind: [\n"));
    let declared = read(&world, &Declared::default());
    assert!(declared.jobs.is_empty() && declared.prices.is_none());
    assert!(declared.branch.asks_for("local", &jobs[0]), "nothing is cancelled by a mistake");
}

#[tokio::test]
async fn an_experiment_says_what_becomes_of_a_better_version_in_each_environment() {
    let world = World::with(&["local", "staging"], EXPERIMENT).await;
    for (promote, in_local, in_staging) in [
        ("never", Policy::Never, Policy::Never),
        ("propose", Policy::Propose, Policy::Propose),
        ("{merge: [local]}", Policy::Merge, Policy::Propose),
        ("{merge: [staging]}", Policy::Propose, Policy::Merge),
        ("{merge: [local, staging]}", Policy::Merge, Policy::Merge),
    ] {
        let fields = format!("spec:\n  promote: {promote}\n  environments: [local, staging]\n");
        world.push("experiments/digits.yaml", Some(&EXPERIMENT.replace("spec:\n", &fields)));
        let policy = |environment: &str| {
            let read = Declared::read(&world.git, &main_of(&world), environment, None, &Declared::default());
            read.unwrap().experiments["digits"].policy
        };
        assert_eq!((policy("local"), policy("staging")), (in_local, in_staging), "{promote}");
    }
}

#[tokio::test]
async fn a_trial_of_the_history_is_still_made_from_what_its_job_was_made_from() {
    // without a sweep, so that the record itself holds no hyperparameter
    let single = EXPERIMENT.replace("  sweep:\n    training.optimizer.learningRate: [0.001, 0.003]\n", "");
    let world = World::with(&["local"], &single).await;
    let (_, jobs) = world.merge("local").await;
    let [job] = jobs.as_slice() else { panic!("one trial, not {jobs:?}") };
    let before = read(&world, &Declared::default());
    let (declared, commit) = (before.jobs[job].clone(), main_of(&world));
    assert_eq!(declared.parameters["training.epochs"], 3);

    let rendered = format!("overlays/local/training-jobs/{job}.yaml");
    let text = String::from_utf8(world.git.read(&commit, &rendered).unwrap().unwrap()).unwrap();
    let ended = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let old = JobResult { run: Some("r".to_owned()), ..JobResult::new(JobState::Finished, ended) };
    let record = |result: &JobResult| {
        let record = Record::new(&read_job("job.yaml", &text).unwrap(), result.clone());
        String::from_utf8(record.to_bytes(text.as_bytes())).unwrap()
    };
    let path = format!("overlays/local/history/{job}.yaml");
    world.push(&path, Some(&record(&old)));
    world.push(&rendered, None);
    let after = read(&world, &before);
    let trial = &after.archived[job];
    assert_eq!(trial.parameters, declared.parameters);
    assert_eq!(trial.model, declared.model);
    let lineage = &trial.lineage;
    assert_eq!((&lineage.commit, &lineage.image), (&commit, &declared.image));
    assert_eq!(
        (&lineage.experiment_file, &lineage.experiment_blob),
        (&declared.experiment_file, &declared.experiment_blob)
    );
    let run = trial.run.as_ref().unwrap();
    assert_eq!((run.id.as_str(), &run.url, &lineage.pull_request), ("r", &None, &None), "it does not say more");
    // what has not changed is not read again
    world.push("experiments/README.md", Some("x\n"));
    let later = read(&world, &after);
    assert!(std::sync::Arc::ptr_eq(&later.archived[job], trial));

    let url = "https://example.org/pull/1".to_owned();
    let (run_experiment, pull_request_url) = (Some("5".to_owned()), Some(url.clone()));
    let new = JobResult { run_experiment, pull_request: Some(1), pull_request_url, ..old };
    world.push(&path, Some(&record(&new)));
    let newest = read(&world, &later);
    let trial = &newest.archived[job];
    let pull_request = trial.lineage.pull_request.as_ref().unwrap();
    assert_eq!((pull_request.number, &pull_request.url), (1, &url));
    let page = trial.run.as_ref().unwrap().url.as_deref();
    assert_eq!(page, Some("https://mlflow.example.org/#/experiments/5/runs/r"));
}
