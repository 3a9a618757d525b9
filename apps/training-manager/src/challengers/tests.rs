//! A server and MLflow that answer as the real ones do, and a real bare repository.

use std::path::Path;

use serde_json::{Value, json};
use slipway_forge::{MergeMethod, PullRequest};
use slipway_git::{Repository, Update};
use slipway_serving::Pins;
use tempfile::TempDir;
use wiremock::matchers::{body_partial_json, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::leading::{leads, stand_still};

const MODELS: &str = "overlays/local/server/models.yaml";

fn pin(version: u64) -> Pin {
    Pin { name: "mnist".to_owned(), version, digest: Digest::of(version.to_string()) }
}

/// A repository that declares a trial of version 4 beside version 3, a server with this challenger, and MLflow.
struct World {
    _folder: TempDir,
    followed: Followed,
    services: MockServer,
}

impl World {
    async fn new(trial: Value) -> Self {
        Self::of(&[trial]).await
    }

    async fn of(trials: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let forge = folder.path().join("forge.git");
        let git = Repository::init_bare(&forge).unwrap();
        declare(&git, None);
        let followed = Followed::open(&forge.display().to_string(), "", Path::new("/nowhere")).unwrap();
        let services = MockServer::start().await;
        let world = Self { _folder: folder, followed, services };
        let answer = json!({ "challengers": trials });
        Mock::given(path("/challengers")).respond_with(ok(answer)).mount(&world.services).await;
        world
    }

    /// MLflow knows version 4, whose run has these tags, and takes so many marks.
    async fn with_tags(self, tags: Value, marks: u64) -> Self {
        let version = json!({ "name": "mnist", "version": "4", "status": "READY", "run_id": "r4" });
        let get = Mock::given(method("GET")).and(path("/api/2.0/mlflow/model-versions/get"));
        get.respond_with(ok(json!({ "model_version": version }))).mount(&self.services).await;
        let run = json!({ "info": { "run_id": "r4", "experiment_id": "0", "status": "FINISHED", "artifact_uri": "s3://a" }, "data": { "tags": tags } });
        let get = Mock::given(method("GET")).and(path("/api/2.0/mlflow/runs/get"));
        get.respond_with(ok(json!({ "run": run }))).mount(&self.services).await;
        let mark = json!({ "run_id": "r4", "key": format!("slipway.trial.local.{}", tried().id()) });
        let set = Mock::given(path("/api/2.0/mlflow/runs/set-tag")).and(body_partial_json(mark));
        set.respond_with(ok(json!({}))).expect(marks).mount(&self.services).await;
        self
    }

    async fn step(&self, leadership: &Leadership) -> Result<()> {
        let server = Server::new(self.services.uri().parse().unwrap()).unwrap();
        let mlflow = Mlflow::new(&self.services.uri()).unwrap();
        step(&server, &self.followed, &mlflow, leadership, "local", &mut Memory::default()).await
    }

    async fn opened(&self) -> Vec<Opened> {
        self.followed.remote.forge.newest().await.unwrap()
    }

    /// The versions that a pull request leaves.
    fn proposed(&self, opened: &Opened) -> Pins {
        let text = self.followed.git.read(&opened.head, MODELS).unwrap().unwrap();
        Pins::parse(MODELS, &String::from_utf8(text).unwrap()).unwrap()
    }
}

/// What git declares: version 4 beside version 3.
fn tried() -> Tried {
    let challenger = Challenger { pin: pin(4), mode: Mode::Canary, share: Share::new(0.05).unwrap() };
    Tried { challenger, champion: 3 }
}

/// Declares it on top of a commit.
fn declare(git: &Repository, on: Option<&str>) {
    let pins = Pins::default().with(pin(3)).with_challenger(tried().challenger).unwrap();
    let files = [(MODELS.to_owned(), Some(pins.to_string().into_bytes()))];
    let main = git.commit(on, &files.into(), "declare").unwrap();
    assert!(git.update(&[Update { name: "refs/heads/main", to: &main, from: on }]).unwrap());
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// What the server says of version 4.
fn trial(state: &str, decision: &str) -> Value {
    let latency = json!({ "p50": 1.5, "p90": 2.0, "p99": 9.0 });
    let evidence = json!({ "e_value": 431.0, "decides_at": 200.0 });
    json!({
        "model": "mnist", "champion": "3", "challenger": "4", "digest": pin(4).digest.to_string(), "mode": "canary",
        "share": 0.05, "state": state, "because": "errors", "reason": "it failed on 12 of 12 requests", "since": 1,
        "requests": {
            "champion": { "answered": 240, "failed": 0, "latency_ms": latency },
            "challenger": { "answered": 0, "failed": 12 },
            "dropped": 0
        },
        "agreement": { "agreed": 97, "disagreed": 3, "share": 0.97 },
        "tests": { "errors": evidence, "latency": evidence, "corrections": evidence },
        "truth": {
            "known": 50, "better": 20, "worse": 1, "same": 29, "decision": decision, "evidence": evidence,
            "difference": [0.1, 0.6], "level": 0.01
        },
        "of a later release": true
    })
}

#[tokio::test]
async fn a_canary_that_was_switched_off_leaves_git_by_one_pull_request() {
    let world = World::new(trial("switched_off", "open")).await.with_tags(json!([]), 2).await;
    world.step(&leads()).await.unwrap();
    // another manager, or this one after a start, before MLflow has answered with the mark
    world.step(&leads()).await.unwrap();
    let [opened]: [Opened; 1] = world.opened().await.try_into().unwrap();
    assert_eq!(opened.title, "Stop trying mnist version 4 in local");
    for says in [
        "**The server has switched it off**: `it failed on 12 of 12 requests`.",
        "Version `4` of `mnist` was tried as a `canary` of version `3`, on 5 % of the requests.",
        "| requests failed | 0 | 12 |",
        "| latency, nine tenths | 2.00 ms | – |",
        "- both said the same of 97 of 100 rows (97.0 %)",
        "- evidence for worse errors: an e-value of 431.000, which decides at 200",
        "- evidence for worse latency: an e-value of 431.000, which decides at 200",
        "- evidence for more corrections: an e-value of 431.000, which decides at 200",
        "- of 50 pairs of requests, one that each has answered, with a known truth, it alone was right on 20,",
        "The version in service is not touched.",
    ] {
        assert!(opened.body.contains(says), "{says}\n{}", opened.body);
    }
    assert_eq!(world.proposed(&opened), Pins::default().with(pin(3)));
}

#[tokio::test]
async fn a_challenger_that_is_better_is_put_into_service() {
    let world = World::new(trial("running", "better")).await.with_tags(json!([]), 1).await;
    world.step(&leads()).await.unwrap();
    let [opened]: [Opened; 1] = world.opened().await.try_into().unwrap();
    assert_eq!(opened.title, "Serve mnist version 4 in local");
    assert!(
        opened.body.contains("**It is better**") && opened.body.contains("by 10.0 to 60.0 points"),
        "{}",
        opened.body
    );
    assert_eq!(world.proposed(&opened), Pins::default().with(pin(4)));
}

#[tokio::test]
async fn nothing_is_proposed_while_a_trial_goes_on() {
    for trial in [
        trial("running", "open"),
        trial("waiting", "open"),
        json!({ "model": "mnist", "challenger": "4", "digest": "none", "state": "switched_off" }),
        json!({}),
    ] {
        let world = World::new(trial.clone()).await.with_tags(json!([]), 0).await;
        world.step(&leads()).await.unwrap();
        assert_eq!(world.opened().await.len(), 0, "{trial}");
    }
}

#[tokio::test]
async fn a_pull_request_that_was_closed_is_an_answer() {
    let world = World::new(trial("switched_off", "open")).await.with_tags(json!([]), 2).await;
    world.step(&leads()).await.unwrap();
    let opened = world.opened().await.remove(0);
    world.followed.remote.forge.close(opened.number).await.unwrap();
    world.step(&leads()).await.unwrap();
    assert_eq!(world.opened().await.len(), 1);
}

#[tokio::test]
async fn a_mark_is_known_when_nobody_lists_its_pull_request() {
    let world = World::new(trial("switched_off", "open")).await;
    let forge = &world.followed.remote.forge;
    // of another name, so that it is known by its number alone
    let main = world.followed.git.reference("refs/heads/main").unwrap().unwrap();
    let head = world.followed.git.commit(Some(&main), &[("x".to_owned(), Some(Vec::new()))].into(), "x").unwrap();
    let branch = Update { name: "refs/heads/elsewhere", to: &head, from: None };
    assert!(world.followed.git.update(&[branch]).unwrap());
    let request = PullRequest {
        branch: "elsewhere".to_owned(),
        base: "main".to_owned(),
        title: "x".to_owned(),
        ..PullRequest::default()
    };
    let number = forge.open(&request).await.unwrap().number;
    let key = format!("slipway.trial.local.{}", tried().id());
    let world = world.with_tags(json!([{ "key": key, "value": number.to_string() }]), 0).await;
    world.step(&leads()).await.unwrap();
    assert_eq!(world.opened().await.len(), 1);
}

#[tokio::test]
async fn what_is_declared_again_after_a_merge_is_another_trial() {
    let world = World::new(trial("switched_off", "open")).await.with_tags(json!([]), 2).await;
    world.step(&leads()).await.unwrap();
    let opened = world.opened().await.remove(0);
    let merged = world.followed.remote.forge.merge(opened.number, MergeMethod::Merge, &opened.head).await.unwrap();
    // the server has not heard of it yet
    world.step(&leads()).await.unwrap();
    assert_eq!(world.opened().await.len(), 1);
    declare(&world.followed.git, Some(&merged));
    world.step(&leads()).await.unwrap();
    assert_eq!(world.opened().await.len(), 2);
}

#[tokio::test]
async fn a_trial_that_fails_does_not_hold_up_the_others() {
    let mut broken = trial("switched_off", "open");
    broken["model"] = json!("broken");
    let world = World::of(&[broken, trial("switched_off", "open")]).await;
    let missing = json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "there is no such version" });
    let get = Mock::given(path("/api/2.0/mlflow/model-versions/get")).and(query_param("name", "broken"));
    get.respond_with(ResponseTemplate::new(404).set_body_json(missing)).mount(&world.services).await;
    let world = world.with_tags(json!([]), 1).await;
    world.step(&leads()).await.unwrap();
    assert_eq!(world.opened().await.len(), 1);
}

#[tokio::test]
async fn what_git_does_not_declare_is_left_alone() {
    let mut other = trial("switched_off", "open");
    other["digest"] = json!(Digest::of("another content").to_string());
    let world = World::new(other).await.with_tags(json!([]), 0).await;
    world.step(&leads()).await.unwrap();
    assert!(world.opened().await.is_empty());
}

#[tokio::test]
async fn who_does_not_lead_any_more_proposes_nothing() {
    let world = World::new(trial("switched_off", "open")).await.with_tags(json!([]), 0).await;
    let leadership = leads();
    stand_still().await;
    assert!(matches!(world.step(&leadership).await, Err(Error::NotLeader(_))));
    assert!(world.opened().await.is_empty());
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named() {
    let services = MockServer::start().await;
    let url = services.uri().replace("http://", "http://ann:secret@");
    let server = Server::new(url.parse().unwrap()).unwrap();
    let error = server.trials().await.unwrap_err().to_string();
    assert!(error.contains("/challengers cannot be read: ") && error.contains("404"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}
