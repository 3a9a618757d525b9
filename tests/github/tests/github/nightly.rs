//! The workflow `nightly`: what each job gives to `make`, which runs nothing here, and that what `programs` packs gets to the jobs that test it.

use slipway_github_tests::workflow::{Runner, Said, Workflow};

use crate::event::schedule;
use crate::repository::{MAIN, Repository};

/// The Python that a runner has beside its own, which the images have.
const PYTHON: &str = "PYTHON=Python/3.11.0/x64/bin/python3";
/// What `make build` compiles.
const PROGRAMS: [&str; 6] =
    ["slipway", "slipway-launch", "slipway-manager", "slipway-monitor", "slipway-server", "slipway-trainer"];

impl Repository {
    async fn nightly(&self, text: &str) -> Said {
        let (event, commit) = (schedule(), self.main().await);
        let runner = Runner { github: &self.github, event_name: "schedule", event, reference: MAIN, commit };
        runner.run(&Workflow::of(text).unwrap()).await.unwrap()
    }
}

/// The lines of a job that begin in this way, without that.
fn lines<'a>(said: &'a Said, job: &str, begin: &str) -> Vec<&'a str> {
    let of_job = said.steps.iter().filter(|(step, _)| step.split(" / ").next() == Some(job));
    of_job.flat_map(|(_, text)| text.lines()).filter_map(|line| line.strip_prefix(begin)).collect()
}

/// What a job called `make` with, one call after another; without the runner's own folders in front of a path.
fn made(said: &Said, job: &str) -> Vec<String> {
    let calls = lines(said, job, "make ").into_iter();
    calls.map(|call| call.split(' ').map(without_folder).collect::<Vec<_>>().join(" ")).collect()
}

fn without_folder(argument: &str) -> String {
    let below = ["/temporary/", "/tool-cache/"].iter().find_map(|folder| Some(argument.split_once(folder)?.1));
    match (argument.split_once('='), below) {
        (Some((name, _)), Some(path)) => format!("{name}={path}"),
        _ => argument.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_night_tests_what_was_compiled_for_the_images() {
    let repository = Repository::begin().await;
    let text = repository.workflow("nightly.yml");
    let said = repository.nightly(&text).await;
    let e2e = format!("e2e CLUSTER=kind BIN=compiled/release DIAGNOSTICS=diagnostics {PYTHON}");
    let setup = format!("setup {PYTHON}");
    let expected = [
        ("advisories", vec!["advisories"]),
        ("confined", vec!["test-confined"]),
        ("e2e", vec![e2e.as_str()]),
        ("faults", vec!["test-faults"]),
        ("gitops", vec![setup.as_str(), "cluster-build CLUSTER=kind", "test-gitops"]),
        ("images", vec!["test-images BIN=compiled/release"]),
        ("kind", vec![setup.as_str(), "test-cluster CLUSTER=kind"]),
        ("programs", vec!["build"]),
    ];
    assert_eq!(said.jobs, expected.iter().map(|(job, _)| ((*job).to_owned(), true)).collect(), "{}", said.text());
    for (job, calls) in expected {
        assert_eq!(made(&said, job), calls, "{job}: {}", said.text());
    }
    // all that was compiled, and nothing else of cargo's folder
    for job in ["e2e", "images"] {
        assert_eq!(lines(&said, job, "runs "), PROGRAMS, "{job}: {}", said.text());
    }
    assert!(!said.artifacts.path().join("diagnostics").exists(), "nothing has failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cluster_said_is_kept_if_a_test_on_kind_fails() {
    let repository = Repository::begin().await;
    let text = repository.workflow("nightly.yml");
    // an artifact's files cannot be executed
    let edited = text.replace("install -D --target-directory", "install -D --mode=644 --target-directory");
    assert_ne!(edited, text);
    let said = repository.nightly(&edited).await;
    let failed: Vec<&str> = said.jobs.iter().filter(|(_, good)| !**good).map(|(job, _)| job.as_str()).collect();
    assert_eq!(failed, ["e2e", "images"], "{}", said.text());
    assert!(said.artifacts.path().join("diagnostics/said").is_file(), "{}", said.text());
}
