//! The workflow `locks`: at most one pull request, with the newest packages.

use serde_json::{Value, json};
use slipway_github_tests::accounts::REPOSITORY;
use slipway_github_tests::workflow::{Runner, Said, Workflow};

use crate::event::{dispatch, schedule};
use crate::repository::{MAIN, Repository};

const LOCK: &str = "trainers/wine/image.lock";
const BRANCH: &str = "slipway/locks";

impl Repository {
    /// Runs the workflow; `base-files` gets this version.
    async fn lock(&self, event_name: &str, event: Value, reference: &str, version: &str) -> Said {
        let text = self.workflow("locks.yml");
        // `slipway image lock` asks Debian and PyPI
        let edit = format!("run: sed --in-place 's/base-files_[^_]*_/base-files_{version}_/' {LOCK}");
        let edited = text.replace("run: slipway image lock", &edit);
        assert_ne!(edited, text);
        let runner = Runner { github: &self.github, event_name, event, reference, commit: self.main().await };
        let said = runner.run(&Workflow::of(&edited).unwrap()).await.unwrap();
        assert!(said.jobs.values().all(|succeeded| *succeeded), "{}", said.text());
        said
    }

    /// The numbers of all pull requests, with the version that the branch brings, which is one commit on top of main.
    async fn locked(&self) -> (Vec<u64>, String) {
        let pulls = self.github.get("/pulls?state=all").await.unwrap();
        let numbers = pulls.as_array().unwrap().iter().map(|pull| pull["number"].as_u64().unwrap());
        let bare = self.github.bare(REPOSITORY);
        assert_eq!(bare.between("main", BRANCH).await.unwrap().len(), 1);
        assert_eq!(bare.git(&["diff", "--name-only", "main", BRANCH]).await.unwrap(), LOCK);
        let text = bare.git(&["show", &format!("{BRANCH}:{LOCK}")]).await.unwrap();
        let version = text.split("base-files_").nth(1).unwrap().split('_').next().unwrap();
        (numbers.collect(), version.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pull_request_brings_the_newest_packages() {
    let repository = Repository::begin().await;
    let locked = async |version: &str| {
        let said = repository.lock("schedule", schedule(), MAIN, version).await;
        assert_eq!(said.jobs.len(), 1);
    };
    locked("90").await;
    assert_eq!(repository.locked().await, (vec![1], "90".to_owned()));
    let pull = repository.pull(1).await;
    assert_eq!((&pull["user"]["login"], &pull["state"]), (&json!("github-actions[bot]"), &json!("open")));
    locked("91").await;
    assert_eq!(repository.locked().await, (vec![1], "91".to_owned()));

    // main has them
    repository.merge(1).await;
    repository.github.pushes().await;
    locked("91").await;
    assert!(repository.github.pushes().await.is_empty());
    locked("92").await;
    assert_eq!(repository.locked().await.1, "92");
    assert_eq!(repository.github.get("/pulls?state=open").await.unwrap().as_array().map(Vec::len), Some(1));

    // for main alone, whoever starts it
    let said = repository.lock("workflow_dispatch", dispatch(&json!({})), "refs/heads/slipway/locks", "93").await;
    assert!(said.jobs.is_empty(), "{:?}", said.jobs);
}
