//! The program itself, killed by SIGKILL at random moments while data arrive: one pull request for a digest, one issue for an alarm, nothing lost. On a
//! repository on this machine, whose files a kill may leave half written, and on an emulated GitHub, which has issues.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use slipway_cluster::Cluster;
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::{ANN, REPOSITORY};
use slipway_http::Client;
use slipway_names::env;
use slipway_object_store::KEYS;
use slipway_proposal::retrain_branch;
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::pictures::{darker, inverted};
use crate::world::{LIMIT, World};

/// It looks as often as it may, and opens what it finds.
const EAGER: &str = "{every: 1s, cooldown: 1s, budget: 1000, retrain: {experiments: [sides-cnn]}}";

/// An API server that knows no Lease, and gives one to whoever writes it. So each start leads at once; it would otherwise wait until the Lease of the one that
/// was killed has run out.
async fn kubernetes() -> MockServer {
    let server = MockServer::start().await;
    let version = json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"});
    let known = ResponseTemplate::new(200).set_body_json(version);
    Mock::given(method("GET")).and(path("/version")).respond_with(known).mount(&server).await;
    let leases = || path_regex("^/apis/coordination.k8s.io/v1/namespaces/dataset-monitor/leases");
    let missing = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound", "message": "there is none",
    });
    let missing = ResponseTemplate::new(404).set_body_json(missing);
    Mock::given(method("GET")).and(leases()).respond_with(missing).mount(&server).await;
    let written = |request: &Request| {
        let mut lease: Value = request.body_json().unwrap();
        lease["metadata"]["resourceVersion"] = json!("1");
        ResponseTemplate::new(200).set_body_json(lease)
    };
    Mock::given(leases()).respond_with(written).with_priority(10).mount(&server).await;
    server
}

/// Where the program finds what it works with.
struct Place<'a> {
    world: &'a World,
    kubernetes: MockServer,
    /// The repository, and what signs in there.
    forge: Vec<(&'static str, String)>,
}

impl<'a> Place<'a> {
    async fn new(world: &'a World, forge: Vec<(&'static str, String)>) -> Self {
        Self { world, kubernetes: kubernetes().await, forge }
    }

    fn log(&self) -> PathBuf {
        self.world.folder.path().join("monitor.log")
    }

    /// Starts the program with a cache of this name.
    fn start(&self, cache: &str) -> Program {
        let (world, folder) = (self.world, self.world.folder.path());
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(&kubeconfig, Cluster::kubeconfig_at(&self.kubernetes.uri())).unwrap();
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_slipway-monitor"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder)
            .env(env::LISTEN, "127.0.0.1:0")
            .env(env::ENVIRONMENT, "local")
            .env(env::CACHE, folder.join(cache))
            .env(env::LEASE_NAMESPACE, "dataset-monitor")
            .env(env::SERVER_URL, &world.server)
            .env(env::MLFLOW_TRACKING_URI, world.mlflow.uri())
            .env(env::KUBECONFIG, kubeconfig)
            .env("AWS_ENDPOINT_URL_S3", &world.s3)
            .env("AWS_ACCESS_KEY_ID", KEYS.0)
            .env("AWS_SECRET_ACCESS_KEY", KEYS.1)
            .env("AWS_REGION", "us-east-1")
            .envs(self.forge.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it has ended: {}", self.said()));
        let url = format!("http://{}/api/v1/datasets", said["listening"].as_str().unwrap());
        Program { child, url, client: slipway_http::loopback(LIMIT).unwrap() }
    }

    /// Kills the program so many times. `meanwhile` happens in the middle of each life, of which either half is `longest` milliseconds at the most.
    async fn kill(&self, kills: u64, seed: u64, longest: u64, mut meanwhile: impl FnMut(u64)) {
        let mut random = fastrand::Rng::with_seed(seed);
        for kill in 0..kills {
            // two caches take turns, as on two nodes
            let program = self.start(if kill.is_multiple_of(2) { "one" } else { "other" });
            tokio::time::sleep(Duration::from_millis(random.u64(0..longest))).await;
            meanwhile(kill);
            tokio::time::sleep(Duration::from_millis(random.u64(0..longest))).await;
            drop(program);
            // whatever is there is whole
            self.world.head().await;
        }
    }

    /// What all of them have logged.
    fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Waits until what a program that nobody kills says of the dataset is so.
    async fn settled(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let program = self.start("one");
        let mut last = Value::Null;
        let found = async {
            while !is_so(&last) {
                tokio::time::sleep(Duration::from_millis(100)).await;
                last = program.dataset().await;
            }
        };
        let is_settled = tokio::time::timeout(LIMIT, found).await.is_ok();
        assert!(is_settled, "{last}: {}", self.said());
        last
    }
}

/// The program as a child process. Dropped, it is killed.
struct Program {
    child: Child,
    url: String,
    client: Client,
}

impl Program {
    /// What it knows of the dataset; nothing before it is ready.
    async fn dataset(&self) -> Value {
        let answer = self.client.get(&self.url).send().await.unwrap();
        let all: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        all["sides"].clone()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[rstest]
#[case::a_few(6)]
#[ignore = "takes minutes: `make test-faults`"]
#[case::a_hundred(100)]
#[tokio::test(flavor = "multi_thread")]
async fn the_program_that_is_killed_opens_one_pull_request_for_a_digest(#[case] kills: u64) {
    let world = World::new(EAGER).await;
    let forge = world.folder.path().join("forge.git").display().to_string();
    let place = Place::new(&world, vec![(env::REPOSITORY, forge)]).await;
    let mut landed = 100;
    world.land_all("odd", 0..landed, inverted);
    let land = |_: u64| {
        world.land_all("odd", landed..landed + 6, inverted);
        landed += 6;
    };
    place.kill(kills, 23, 750, land).await;
    let is_settled = |state: &Value| {
        let is_decided = ["retrain", "opened"].iter().any(|action| state["decision"]["action"] == *action);
        state["evidence"]["new"] == landed && is_decided && state["opened"].is_string()
    };
    let state = place.settled(is_settled).await;
    let head = world.head().await;
    assert_eq!(state["evidence"]["head"], head.to_string());
    let mut by_branch: BTreeMap<String, usize> = BTreeMap::new();
    for opened in world.pull_requests().await {
        *by_branch.entry(opened.branch).or_default() += 1;
    }
    assert!(by_branch.contains_key(&retrain_branch("sides", &head)), "{by_branch:?}");
    assert!(by_branch.values().all(|count| *count == 1), "{by_branch:?}");
}

/// What the issues on GitHub are about: their first lines.
async fn issues(github: &GitHub) -> Vec<String> {
    let all = github.get("/issues?state=all").await.unwrap();
    let first = |issue: &Value| issue["body"].as_str().unwrap().lines().next().unwrap().to_owned();
    let mut all: Vec<String> = all.as_array().unwrap().iter().map(first).collect();
    all.sort();
    all
}

#[rstest]
#[case::a_few(4)]
#[ignore = "takes minutes: `make test-faults`"]
#[case::a_hundred(100)]
#[tokio::test(flavor = "multi_thread")]
async fn the_program_that_is_killed_opens_one_issue_for_an_alarm(#[case] kills: u64) {
    let world = World::new(EAGER).await;
    let github = GitHub::start(&world.folder.path().join("forge.git")).await.unwrap();
    let forge = vec![
        (env::REPOSITORY, format!("{}/{REPOSITORY}", github.server)),
        ("GITHUB_SERVER_URL", github.server.clone()),
        ("GITHUB_API_URL", github.api.clone()),
        ("GITHUB_TOKEN", ANN.token.to_owned()),
    ];
    let place = Place::new(&world, forge).await;
    // what looks different, and the version in service is right about it
    let (mut landed, mut spoiled) = (150, 0);
    world.land_all("dark", 0..landed, darker);
    let spoil = |numbers: std::ops::Range<u64>| {
        numbers.for_each(|number| {
            world.land_file(0, &format!("broken-{number}"), format!("no image {number}").as_bytes())
        });
    };
    let land = |kill: u64| {
        // from the middle on most of what lands is broken: of the newest hundred objects at first all, and then two of three
        let more = if kill < kills / 2 {
            0
        } else if spoiled == 0 {
            120
        } else {
            8
        };
        spoil(spoiled..spoiled + more);
        world.land_all("dark", landed..landed + 4, darker);
        (spoiled, landed) = (spoiled + more, landed + 4);
    };
    place.kill(kills, 29, 1500, land).await;
    let is_settled = |state: &Value| {
        let evidence = &state["evidence"];
        let is_whole = evidence["new"] == landed && evidence["quality"]["setAside"] == spoiled;
        let is_said =
            state["decision"]["action"] == "issue" && state["opened"].is_string() && state["broken"].is_string();
        is_whole && is_said
    };
    let state = place.settled(is_settled).await;
    assert_eq!(state["evidence"]["head"], world.head().await.to_string());
    let reference = world.first.hex()[..16].to_owned();
    let expected = [format!("broken sides feed {reference}"), format!("drift sides {reference}")];
    let expected = expected.map(|about| format!("<!-- slipway:issue {about} -->"));
    let found = async {
        // what is broken is shown, and told right after that
        while issues(&github).await.len() < expected.len() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    assert!(tokio::time::timeout(LIMIT, found).await.is_ok(), "{:?}: {}", issues(&github).await, place.said());
    assert_eq!(issues(&github).await, expected);
    let opened = github.get("/pulls?state=all").await.unwrap();
    assert_eq!(opened, json!([]), "it does not matter");
}
