//! People with tokens of their own, on an emulated GitHub. `make test` sets what it needs: SLIPWAY_EMULATE.

use std::sync::Arc;

use serde_json::{Value, json};
use slipway_forge::Credentials;
use slipway_git::Repository;
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::{ANN, BOB, MALLORY, NAME, OWNER, REPOSITORY};
use slipway_proposal::Remote;
use slipway_training_manager::rest::People;
use tempfile::TempDir;

use crate::logged::logged;
use crate::manager::{Manager, Setup};
use crate::project::{EXPERIMENT, Project};

const EXPERIMENTS: &str = "/api/v1/experiments";

/// A manager that is ann on GitHub, and asks there for people.
struct World {
    github: GitHub,
    manager: Manager,
    service: Remote,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let github = GitHub::start(&Project::new().path("work")).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let forge = slipway_forge::GitHub::new(&github.api, OWNER, NAME, Credentials::token(ANN.token));
        let service = Remote::by_api(&format!("{}/{REPOSITORY}", github.server), forge).unwrap();
        let git = Repository::open_cache(&folder.path().join("repository.git")).unwrap();
        let people = People::new(git, Arc::new(service.clone()));
        let manager = Manager::start(Setup { writers: Some(Arc::new(people)), ..Setup::default() }).await;
        github.signed().await;
        Self { github, manager, service, _folder: folder }
    }

    async fn pull_requests(&self) -> usize {
        let pulls = self.github.get("/pulls?state=all").await.unwrap();
        self.github.signed().await;
        pulls.as_array().unwrap().len()
    }
}

fn digits() -> Value {
    json!({ "name": "digits", "source": EXPERIMENT })
}

fn is_git(asked: &str) -> bool {
    asked.contains("/info/refs") || asked.contains("/git-upload-pack")
}

#[test]
fn a_person_writes_as_that_person_and_with_no_other_token() {
    let text = logged(async {
        let World { github, manager, service, _folder } = World::new().await;
        let answer = manager.post(EXPERIMENTS, BOB.token, &digits()).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["existed"]), (201, &json!(false)), "{answer:?}");
        assert!(!format!("{answer:?}").contains("ghp_"), "{answer:?}");

        // what was asked for bob was asked by bob, and git was fetched as before by the service
        let signed = github.signed().await;
        let (git, api): (Vec<_>, Vec<_>) = signed.iter().partition(|(_, asked)| is_git(asked));
        assert!(!git.is_empty() && !api.is_empty(), "{signed:#?}");
        assert!(git.iter().all(|(token, _)| token.as_deref() == Some(ANN.token)), "{git:#?}");
        assert!(api.iter().all(|(token, _)| token.as_deref() == Some(BOB.token)), "{api:#?}");
        let changes = api.iter().filter(|(_, asked)| !asked.starts_with("GET ")).count();
        assert!(changes >= 4, "a tree, a commit, a branch and a pull request: {api:#?}");

        let number = answer.json()["number"].as_u64().unwrap();
        let pull = github.get(&format!("/pulls/{number}")).await.unwrap();
        assert_eq!(pull["user"]["login"], BOB.login);
        let body = pull["body"].as_str().unwrap();
        assert!(body.starts_with("Asked for by `bob`, through Slipway's training manager.\n"), "{body}");
        let head = pull["head"]["sha"].as_str().unwrap();
        let author = github.bare(REPOSITORY).git(&["show", "--no-patch", "--format=%an", head]).await.unwrap();
        assert_eq!(author, BOB.login);

        // the token is not kept: what the service asks afterwards is its own
        github.signed().await;
        service.forge.newest().await.unwrap();
        let signed = github.signed().await;
        assert!(
            !signed.is_empty() && signed.iter().all(|(token, _)| token.as_deref() == Some(ANN.token)),
            "{signed:?}"
        );

        // somebody else who asks for the same gets the same
        let again = manager.post(EXPERIMENTS, ANN.token, &digits()).await;
        assert_eq!((again.status.as_u16(), &again.json()["number"]), (200, &json!(number)), "{again:?}");
        let cancelled = manager.post("/api/v1/experiments/digits/cancel", BOB.token, &json!({})).await;
        assert_eq!(cancelled.problem(404), "unknown-thing-to-cancel", "it is not merged");
        manager.stop().await;
    });
    assert!(text.contains("\"who\":\"bob\""), "who asked is not logged");
    for line in text.lines().filter(|line| line.contains(BOB.token) || line.contains(ANN.token)) {
        // the test's own client
        assert!(line.contains("\"target\":\"reqwest") || line.contains("\"target\":\"hyper_util::client"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_nobody_has_is_refused_with_what_to_do() {
    let world = World::new().await;
    let answer = world.manager.post(EXPERIMENTS, "ghp_nobodyHasThisToken", &digits()).await;
    assert_eq!(answer.problem(401), "unauthorized");
    assert!(answer.header("www-authenticate").starts_with("Bearer"), "{answer:?}");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("expired") && detail.contains("settings of your GitHub account"), "{detail}");
    assert!(!detail.contains("ghp_"), "{detail}");
    let signed = world.github.signed().await;
    assert_eq!(signed, [(Some("ghp_nobodyHasThisToken".to_owned()), "GET /user".to_owned())]);
    assert_eq!(world.pull_requests().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_rights_opens_nothing() {
    let world = World::new().await;
    // somebody who may only read
    let answer = world.manager.post(EXPERIMENTS, MALLORY.token, &digits()).await;
    assert_eq!(answer.problem(403), "forbidden");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("contents: write"), "{detail}");
    let signed = world.github.signed().await;
    let api: Vec<_> = signed.iter().filter(|(_, asked)| !is_git(asked)).collect();
    assert!(api.iter().all(|(token, _)| token.as_deref() == Some(MALLORY.token)), "{signed:?}");
    // a token of a workflow's job, which is nobody's
    let permissions = [("contents", "write"), ("pull_requests", "write")];
    let permissions = permissions.map(|(name, level)| (name.to_owned(), level.to_owned())).into();
    let token = world.github.job_token(&permissions).await.unwrap();
    let answer = world.manager.post(EXPERIMENTS, &token, &digits()).await;
    assert_eq!(answer.problem(403), "forbidden");
    assert!(answer.text.contains("not a person's") && !answer.text.contains(&token), "{answer:?}");
    assert_eq!(world.pull_requests().await, 0);
}
