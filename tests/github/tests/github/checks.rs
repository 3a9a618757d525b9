//! The job `check` of `checks`, for each event that starts it. What would be merged is compared with what it is merged into: a TrainJob that
//! this does not have yet must be as its experiment renders to, whatever its file says.

use serde_json::{Value, json};
use slipway_github_tests::accounts::{ANN, BOB, Person, REPOSITORY};
use slipway_github_tests::repository::Merge;
use slipway_github_tests::workflow::{Runner, Said, Workflow};

use crate::event::{dispatch, merge_group, pull_request, push, workflow_run};
use crate::people::Clone;
use crate::repository::{MAIN, Repository};

const CHECK: &str = "check / Check everything in the repository, and what it deploys from others";
const SHOW: &str = "check / Show what would start, what it costs, and what changes in each cluster";
/// The image of new TrainJobs of `local`, and one that somebody has written in its place.
const IMAGE: &str = "localhost:5001/slipway/trainer:0.1.0";
const OTHER: &str = "registry.example.org/mine:1";

/// The workflow's text without what is deployed from other repositories, which would be fetched from them.
pub(crate) fn offline(text: &str) -> String {
    let offline = text.replace("slipway check --complete", "slipway check --complete --offline");
    assert_ne!(offline, text);
    offline
}

impl Repository {
    /// Runs the job for what a reference is at.
    async fn checked(&self, event_name: &str, event: Value, reference: &str) -> Said {
        let offline = offline(&self.workflow("checks.yml"));
        let commit = self.github.bare(REPOSITORY).commit(reference).await.unwrap();
        let runner = Runner { github: &self.github, event_name, event, reference, commit };
        runner.run(&Workflow::only(&offline, "check").unwrap()).await.unwrap()
    }

    /// Makes the commit that GitHub would merge a pull request by, and puts a reference to it.
    async fn merged_into(&self, base: &str, number: u64, reference: &str) -> String {
        let bare = self.github.bare(REPOSITORY);
        let head = self.head(number).await;
        let message = format!("Merge {head} into {base}");
        let merge = Merge { method: "merge", base, head: &head, message: &message, author: "ann" };
        let commit = bare.merge(&merge).await.unwrap().unwrap();
        bare.git(&["update-ref", reference, &commit]).await.unwrap();
        commit
    }

    /// Runs the job for a pull request as it is now.
    async fn checked_pull_request(&self, number: u64) -> Said {
        let reference = format!("refs/pull/{number}/merge");
        self.merged_into(&self.main().await, number, &reference).await;
        self.checked("pull_request", pull_request(&self.pull(number).await), &reference).await
    }

    /// Proposes an experiment with fewer epochs; the number of the pull request.
    fn proposed(&self, who: Person, experiment: &str, epochs: &str) -> u64 {
        let clone = Clone::of(&self.github, who);
        let file = format!("experiments/{experiment}.yaml");
        clone.write(&file, &clone.read(&file).replace(epochs, "epochs: 1"));
        clone.opens(&["propose", &file])
    }

    /// Writes another image into a TrainJob of a pull request by hand; its file.
    async fn written_by_hand(&self, number: u64) -> String {
        let branch = self.pull(number).await["head"]["ref"].as_str().unwrap().to_owned();
        let bob = Clone::of(&self.github, BOB);
        bob.git(&["switch", "--quiet", &branch]);
        let files = bob.git(&["ls-files", "overlays/local/training-jobs/*.yaml"]);
        let file = files.lines().next().unwrap();
        let text = bob.read(file);
        assert!(text.contains(IMAGE), "{text}");
        bob.write(file, &text.replace(IMAGE, OTHER));
        bob.git(&["commit", "--quiet", "--all", "-m", "Another image"]);
        bob.git(&["push", "--quiet", "origin", &branch]);
        file.to_owned()
    }

    /// Somebody pushes to main what no pull request here is about.
    fn main_moves(&self) {
        let bob = Clone::of(&self.github, BOB);
        bob.write("README.md", &format!("{}\nMore.\n", bob.read("README.md")));
        bob.git(&["commit", "--quiet", "--all", "-m", "More"]);
        bob.git(&["push", "--quiet", "origin", "HEAD:main"]);
    }
}

fn steps(said: &Said) -> Vec<&str> {
    said.steps.iter().map(|(name, _)| name.as_str()).collect()
}

fn assert_green(said: &Said, expected: &[&str]) {
    assert_eq!((said.jobs.get("check"), steps(said).as_slice()), (Some(&true), expected), "{}", said.text());
    assert!(said.text().contains("no problems found"), "{}", said.text());
}

/// The job fails because of this file and no other, and shows nothing.
fn assert_red(said: &Said, file: &str) {
    assert_eq!((said.jobs.get("check"), steps(said).as_slice()), (Some(&false), &[CHECK][..]), "{}", said.text());
    let text = said.text();
    let findings: Vec<&str> = text.lines().filter(|line| line.starts_with("overlays/")).collect();
    assert!(findings.len() == 1 && findings[0].starts_with(file), "{text}");
    assert!(text.contains("was it edited by hand?") && text.contains(OTHER), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_checked_as_it_would_be_merged() {
    let repository = Repository::begin().await;
    let number = repository.proposed(ANN, "mnist-mlp", "epochs: 10");
    repository.main_moves();
    let said = repository.checked_pull_request(number).await;
    assert_green(&said, &[CHECK, SHOW]);
    let (_, summary) = said.steps.last().unwrap();
    for shown in ["CPU-hours", "TrainJob", "mnist-mlp-"] {
        assert!(summary.contains(shown), "{shown}: {summary}");
    }
    assert!(!summary.contains("README"), "{summary}");

    let file = repository.written_by_hand(number).await;
    assert_red(&repository.checked_pull_request(number).await, &file);

    // somebody merges it all the same: what runs keeps its image, so nobody else's pull request is red because of it
    repository.merge(number).await;
    assert_green(&repository.checked("push", push(MAIN), MAIN).await, &[CHECK]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_merge_queue_each_is_checked_on_top_of_the_one_before_it() {
    let repository = Repository::begin().await;
    let (mlp, cnn) =
        (repository.proposed(ANN, "mnist-mlp", "epochs: 10"), repository.proposed(BOB, "mnist-cnn", "epochs: 3"));
    let file = repository.written_by_hand(mlp).await;
    let main = repository.main().await;
    let queue = |number: u64, base: &str| format!("refs/heads/gh-readonly-queue/main/pr-{number}-{base}");

    let reference = queue(mlp, &main);
    let first = repository.merged_into(&main, mlp, &reference).await;
    let said = repository.checked("merge_group", merge_group(&main, &first, &reference), &reference).await;
    assert_red(&said, &file);

    // what comes after it has its own base
    let reference = queue(cnn, &first);
    let second = repository.merged_into(&first, cnn, &reference).await;
    let said = repository.checked("merge_group", merge_group(&first, &second, &reference), &reference).await;
    assert_green(&said, &[CHECK]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_merge_queue_the_second_proposal_of_one_experiment_is_red_although_git_merges_it() {
    let repository = Repository::begin().await;
    let (file, jobs) = ("experiments/mnist-mlp.yaml", "overlays/local/training-jobs/mnist-mlp-");
    // each changes another line
    let propose = |who: Person, before: &str, after: &str| {
        let clone = Clone::of(&repository.github, who);
        let text = clone.read(file);
        assert!(text.contains(before), "{text}");
        clone.write(file, &text.replace(before, after));
        clone.opens(&["propose", file])
    };
    let first = propose(ANN, "dropout: 0.25", "dropout: 0.5");
    let second = propose(BOB, "memory: 512Mi", "memory: 640Mi");
    let main = repository.main().await;
    let queue = |number: u64, base: &str| format!("refs/heads/gh-readonly-queue/main/pr-{number}-{base}");

    let reference = queue(first, &main);
    let merged = repository.merged_into(&main, first, &reference).await;
    let said = repository.checked("merge_group", merge_group(&main, &merged, &reference), &reference).await;
    assert_green(&said, &[CHECK]);

    // what was reviewed of the second is not what the experiments of both render to
    let reference = queue(second, &merged);
    let both = repository.merged_into(&merged, second, &reference).await;
    let said = repository.checked("merge_group", merge_group(&merged, &both, &reference), &reference).await;
    assert_eq!((said.jobs.get("check"), steps(&said).as_slice()), (Some(&false), &[CHECK][..]), "{}", said.text());
    let reviewed = repository.github.bare(REPOSITORY);
    let reviewed = reviewed.git(&["diff", "--name-only", &merged, &both, "--", "overlays/"]).await.unwrap();
    assert!(reviewed.starts_with(jobs), "{reviewed}");
    let text = said.text();
    for file in reviewed.lines() {
        assert!(text.lines().any(|line| line.starts_with(file)), "{file} is not what runs: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_report_has_pushed_to_is_checked_since_it_left_main() {
    let repository = Repository::begin().await;
    let edit = |text: &str| text.replace("epochs: 10", "epochs: 5");
    let number = repository.open(ANN, "fewer", "experiments/mnist-mlp.yaml", edit).await;
    let asked = workflow_run(&repository.pull(number).await, "requested", "pull_request");
    let said = repository.report("workflow_run", asked).await;
    assert_eq!(said.dispatched, ["checks.yml --ref fewer"], "{}", said.text());
    repository.main_moves();

    let started = || dispatch(&json!({}));
    assert_green(&repository.checked("workflow_dispatch", started(), "refs/heads/fewer").await, &[CHECK]);
    let file = repository.written_by_hand(number).await;
    assert_red(&repository.checked("workflow_dispatch", started(), "refs/heads/fewer").await, &file);
}
