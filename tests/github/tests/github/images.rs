//! The job `pin` of `images`: at most one pull request, with the images of the newest run.

use std::fs;

use reqwest::Method;
use serde_json::json;
use slipway_github_tests::accounts::{FORK, MALLORY, REPOSITORY};
use slipway_github_tests::workflow::{Runner, Workflow};
use slipway_loop::programs::program;
use tempfile::TempDir;

use crate::event::push;
use crate::people::Clone;
use crate::repository::{MAIN, Repository};

/// The images of apps/ and trainers/.
const IMAGES: [&str; 8] =
    ["demo-ui", "mlflow", "server", "sklearn-wine", "torch-cnn", "trainer", "training-manager", "wine"];
/// Where their digests are: in each environment in four lines of the first file, and five of the second.
const FILES: [&str; 4] = [
    "clusters/production/cluster.yaml",
    "clusters/production/images/kustomization.yaml",
    "clusters/staging/cluster.yaml",
    "clusters/staging/images/kustomization.yaml",
];
const PLACES: usize = 18;
/// A branch of a fork that is named as those of the repository are.
const THEIRS: &str = "slipway/images-01234567-89abcdef";

/// What the jobs before leave behind, which need a registry and cosign: the names of the indexes, whose digests are of one digit here, and the
/// command line.
fn indexes(digit: char) -> TempDir {
    let artifacts = tempfile::tempdir().unwrap();
    let folder = artifacts.path().join("indexes");
    fs::create_dir(&folder).unwrap();
    let digest = digit.to_string().repeat(64);
    let names: String = IMAGES.iter().map(|image| format!("ghcr.io/acme/models/{image}@sha256:{digest}\n")).collect();
    fs::write(folder.join("images"), names).unwrap();
    fs::copy(program("slipway").unwrap(), folder.join("slipway")).unwrap();
    artifacts
}

impl Repository {
    /// Runs the job for a commit of main.
    async fn pin(&self, commit: &str, digit: char) {
        let workflow = Workflow::only(&self.workflow("images.yml"), "pin").unwrap();
        let (event, commit) = (push(MAIN), commit.to_owned());
        let runner = Runner { github: &self.github, event_name: "push", event, reference: MAIN, commit };
        let said = runner.run_after(&workflow, indexes(digit)).await.unwrap();
        assert_eq!(said.jobs, [("pin".to_owned(), true)].into(), "{}", said.text());
    }

    /// The numbers of the open pull requests of the repository's own branches.
    async fn own(&self) -> Vec<u64> {
        let open = self.github.get("/pulls?state=open").await.unwrap();
        let own = open.as_array().unwrap().iter().filter(|pull| pull["head"]["repo"]["full_name"] == REPOSITORY);
        own.map(|pull| pull["number"].as_u64().unwrap()).collect()
    }

    /// The first digit of each digest that a commit pins.
    async fn pinned(&self, commit: &str) -> String {
        let bare = self.github.bare(REPOSITORY);
        let mut digits = String::new();
        for file in FILES {
            let text = bare.git(&["show", &format!("{commit}:{file}")]).await.unwrap();
            digits.extend(text.lines().filter_map(|line| line.split_once("sha256:")?.1.chars().next()));
        }
        digits
    }

    /// Whether the branch of a pull request has all of main, pins these digests and does no more.
    async fn brings(&self, number: u64, digit: char) -> bool {
        let bare = self.github.bare(REPOSITORY);
        let head = self.head(number).await;
        let changed = bare.git(&["diff", "--name-only", "main", &head]).await.unwrap();
        let common = bare.git(&["merge-base", "main", &head]).await.unwrap();
        common.trim() == self.main().await
            && changed.lines().collect::<Vec<_>>() == FILES
            && self.pinned(&head).await == digit.to_string().repeat(PLACES)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pull_request_names_the_newest_images_and_is_closed_when_main_has_them() {
    let repository = Repository::begin().await;
    // a fork has a branch of this name too, and its pull request is its own
    let mallory = Clone::of(&repository.github, MALLORY);
    mallory.git(&["commit", "--quiet", "--allow-empty", "-m", "Mine"]);
    let fork = format!("{}/{FORK}.git", repository.github.server);
    mallory.git(&["push", "--quiet", &fork, &format!("HEAD:refs/heads/{THEIRS}")]);
    let body = json!({ "title": "x", "body": "", "head": format!("mallory:{THEIRS}"), "base": "main" });
    let path = format!("/repos/{REPOSITORY}/pulls");
    let (status, theirs) = repository.github.ask(Method::POST, &path, MALLORY.token, Some(&body)).await.unwrap();
    assert_eq!(status.as_u16(), 201, "{theirs}");

    let main = repository.main().await;
    repository.pin(&main, 'a').await;
    let [number] = repository.own().await[..] else { panic!("{:?}", repository.own().await) };
    let pull = repository.pull(number).await;
    assert_eq!((&pull["title"], &pull["base"]["ref"]), (&json!("Pin images by digest"), &json!("main")));
    assert_eq!(pull["user"]["login"], "github-actions[bot]");
    assert!(repository.brings(number, 'a').await);

    // the same once more changes nothing
    let head = repository.head(number).await;
    repository.github.pushes().await;
    repository.pin(&main, 'a').await;
    assert_eq!((repository.own().await, repository.head(number).await), (vec![number], head));
    assert!(repository.github.pushes().await.is_empty());

    // newer ones while it is open
    repository.pin(&main, 'b').await;
    assert_eq!(repository.own().await, [number]);
    assert!(repository.brings(number, 'b').await);

    // main has them, and gets them again
    repository.merge(number).await;
    let main = repository.main().await;
    repository.github.pushes().await;
    repository.pin(&main, 'b').await;
    assert!(repository.own().await.is_empty() && repository.github.pushes().await.is_empty());

    // and again while others wait, which would go back
    repository.pin(&main, 'c').await;
    let [other] = repository.own().await[..] else { panic!("{:?}", repository.own().await) };
    repository.github.pushes().await;
    repository.pin(&main, 'b').await;
    assert!(repository.own().await.is_empty() && repository.github.pushes().await.is_empty());
    assert_eq!(repository.pull(other).await["state"], "closed");

    let theirs = repository.pull(theirs["number"].as_u64().unwrap()).await;
    assert_eq!((&theirs["state"], &theirs["comments"]), (&json!("open"), &json!(0)), "{theirs}");
}

/// Images take an hour or more, and until then the pull request with older ones may be merged.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_merged_since_the_run_began_is_in_the_way_of_nothing() {
    let repository = Repository::begin().await;
    let begun = repository.main().await;
    repository.pin(&begun, 'a').await;
    let [number] = repository.own().await[..] else { panic!("{:?}", repository.own().await) };
    repository.merge(number).await;

    repository.pin(&begun, 'b').await;
    let [number] = repository.own().await[..] else { panic!("{:?}", repository.own().await) };
    assert_eq!(repository.pull(number).await["mergeable"], true);
    assert!(repository.brings(number, 'b').await);
    repository.merge(number).await;

    repository.pin(&begun, 'b').await;
    assert!(repository.own().await.is_empty());
}
