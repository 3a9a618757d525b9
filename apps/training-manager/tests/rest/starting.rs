//! The program at its start: whatever it works with may not be there yet.

use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use rstest::rstest;
use serde_json::{Value, json};
use slipway_cluster::Cluster;
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::{BOB, REPOSITORY};
use slipway_names::env;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::kubernetes::Kubernetes;
use crate::manager::{LONG, until};
use crate::project::{EXPERIMENT, Project};

/// Nothing answers here.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A running `slipway-manager`.
struct Program {
    url: String,
    child: Child,
    log: Arc<Mutex<String>>,
    client: reqwest::Client,
}

fn command(variables: &[(&str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-manager"));
    command.env_clear().envs(variables.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Program {
    async fn start(variables: &[(&str, String)]) -> Self {
        let mut child = command(variables).spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let lines = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = errors.next_line().await {
                lines.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LONG, output.next_line()).await.expect("it does not listen").unwrap();
        let line = line.unwrap_or_else(|| panic!("it has ended: {}", log.lock().unwrap()));
        let said: Value = serde_json::from_str(&line).unwrap();
        let url = format!("http://{}", said["listening"].as_str().unwrap());
        Self { url, child, log, client: slipway_http::loopback(LONG).unwrap() }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// What is missing; empty if it is ready.
    async fn missing(&self) -> String {
        let (status, text) = self.get("/readyz").await;
        if status == 200 {
            return String::new();
        }
        assert_eq!(status, 503, "{text}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["type"], "urn:slipway:problem:not-ready");
        problem["detail"].as_str().unwrap().to_owned()
    }

    /// Waits until what is missing is said in these words.
    async fn lacks(&self, words: &[&str]) {
        until(&format!("{words:?} is said to be missing"), async || {
            let missing = self.missing().await;
            words.iter().all(|word| missing.contains(word))
        })
        .await;
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    async fn stop(mut self) -> ExitStatus {
        let id = self.child.id().unwrap();
        let pid = rustix::process::Pid::from_raw(id.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        tokio::time::timeout(LONG, self.child.wait()).await.expect("it does not end").unwrap()
    }
}

/// An MLflow that answers once it is told to, and knows nothing.
struct Tracking {
    url: String,
    is_there: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Tracking {
    async fn start(is_there: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (is_there, asked) = (Arc::new(AtomicBool::new(is_there)), Arc::<AtomicUsize>::default());
        let (answers, count) = (Arc::clone(&is_there), Arc::clone(&asked));
        let health = get(async move || {
            count.fetch_add(1, Ordering::Relaxed);
            if answers.load(Ordering::Relaxed) { (StatusCode::OK, "OK") } else { (StatusCode::BAD_GATEWAY, "away") }
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/health", health)).await.unwrap() });
        Self { url, is_there, asked }
    }
}

/// A folder with what the program reads.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Names the API server.
    fn name_cluster(&self, address: &str) {
        std::fs::write(self.path("kubeconfig.new"), Cluster::kubeconfig_at(address)).unwrap();
        std::fs::rename(self.path("kubeconfig.new"), self.path("kubeconfig")).unwrap();
    }

    fn variables(&self, repository: &str, mlflow: &str) -> Vec<(&'static str, String)> {
        vec![
            (env::LISTEN, "127.0.0.1:0".to_owned()),
            (env::ENVIRONMENT, "local".to_owned()),
            (env::REPOSITORY, repository.to_owned()),
            (env::CACHE, self.path("cache")),
            (env::LEASE_NAMESPACE, "training-manager".to_owned()),
            (env::KUBECONFIG, self.path("kubeconfig")),
            (env::MLFLOW_TRACKING_URI, mlflow.to_owned()),
            ("HOME", self.path("home")),
        ]
    }
}

#[tokio::test]
async fn nothing_has_to_be_there_at_the_start() {
    let (folder, mlflow, kubernetes) = (Folder::new(), Tracking::start(false).await, Kubernetes::start().await);
    let forge = folder.path("forge.git");
    let program = Program::start(&folder.variables(&forge, &mlflow.url)).await;
    assert_eq!(program.get("/healthz").await, (200, "ok\n".to_owned()));
    // each is named, with what to do
    let repository = ["forge.git", env::REPOSITORY, "nor a bare repository"];
    let tracking = ["MLflow failed", "see MLflow's log"];
    program.lacks(&[&repository[..], &tracking, &["no cluster is configured", "set KUBECONFIG"]].concat()).await;
    for path in ["/api/v1/trials", "/api/v1/events"] {
        let (status, text) = program.get(path).await;
        assert_eq!(status, 503, "{text}");
        assert!(text.contains("not-ready") && text.contains("forge.git"), "{text}");
    }

    // an API server that does not answer
    folder.name_cluster(NOWHERE);
    program.lacks(&[&repository[..], &tracking, &[NOWHERE, "check KUBECONFIG"]].concat()).await;
    // everything comes by and by, and nobody starts it again
    folder.name_cluster(kubernetes.address());
    until("the cluster is there", async || !program.missing().await.contains("KUBECONFIG")).await;
    let project = Project::new();
    std::fs::rename(project.path("forge.git"), &forge).unwrap();
    until("the repository is there", async || !program.missing().await.contains("forge.git")).await;
    until("trials are answered", async || program.get("/api/v1/trials").await.0 == 200).await;
    program.lacks(&tracking).await;
    until("MLflow was asked several times", async || mlflow.asked.load(Ordering::Relaxed) > 2).await;
    mlflow.is_there.store(true, Ordering::Relaxed);
    until("it is ready", async || program.missing().await.is_empty()).await;
    assert_eq!(program.get("/readyz").await, (200, "ready\n".to_owned()));

    // the log says each once
    let log = program.log();
    let count = |word: &str| log.lines().filter(|line| line.contains("not ready") && line.contains(word)).count();
    assert_eq!((count("forge.git"), count("MLflow failed"), count(NOWHERE)), (1, 1, 1), "{log}");
    assert!(!log.contains("kube_client"), "{log}");
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
    assert!(program.stop().await.success());
}

#[tokio::test]
async fn it_stops_while_it_waits() {
    let folder = Folder::new();
    let program = Program::start(&folder.variables(&folder.path("forge.git"), NOWHERE)).await;
    program.lacks(&["forge.git", "MLflow at", "cannot be reached", "start it"]).await;
    assert!(program.stop().await.success());
}

#[rstest]
#[case(env::ENVIRONMENT, None, "SLIPWAY_ENVIRONMENT is not set")]
#[case(env::REPOSITORY, None, "SLIPWAY_REPOSITORY is not set")]
#[case(env::CACHE, Some(""), "SLIPWAY_CACHE is not set")]
#[case(env::LEASE_NAMESPACE, None, "SLIPWAY_LEASE_NAMESPACE is not set")]
#[case(env::LISTEN, Some("8080"), "SLIPWAY_LISTEN is `8080`")]
#[case(env::MLFLOW_TRACKING_URI, None, "MLFLOW_TRACKING_URI is not set")]
#[case(env::MLFLOW_TRACKING_URI, Some("file:///x"), "not the address of an MLflow server")]
#[tokio::test]
async fn a_wrong_environment_ends_it(#[case] name: &str, #[case] value: Option<&str>, #[case] says: &str) {
    let folder = Folder::new();
    let mut variables = folder.variables(&folder.path("forge.git"), NOWHERE);
    variables.retain(|(one, _)| *one != name);
    variables.extend(value.map(|value| (name, value.to_owned())));
    let ended = tokio::time::timeout(LONG, command(&variables).output()).await.expect("it does not end").unwrap();
    let log = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{log}");
    assert!(log.contains(says), "{log}");
    assert!(ended.stdout.is_empty());
}

/// The variables for an emulated GitHub.
fn on_github(folder: &Folder, github: &GitHub, mlflow: &str) -> Vec<(&'static str, String)> {
    let repository = format!("{}/{REPOSITORY}", github.server);
    let mut variables = folder.variables(&repository, mlflow);
    variables.push(("GITHUB_SERVER_URL", github.server.clone()));
    variables.push(("GITHUB_API_URL", github.api.clone()));
    variables
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_repository_is_read_without_an_app() {
    let (folder, mlflow, kubernetes) = (Folder::new(), Tracking::start(true).await, Kubernetes::start().await);
    folder.name_cluster(kubernetes.address());
    let github = GitHub::start(&Project::new().path("work")).await.unwrap();
    github.signed().await;
    let program = Program::start(&on_github(&folder, &github, &mlflow.url)).await;
    until("it is ready", async || program.missing().await.is_empty()).await;
    let (status, text) = program.get("/api/v1/summary").await;
    assert_eq!(status, 200, "{text}");
    assert!(!serde_json::from_str::<Value>(&text).unwrap()["commit"].as_str().unwrap().is_empty(), "{text}");
    let log = program.log();
    assert_eq!(log.matches("there are no credentials for GitHub").count(), 1, "{log}");
    assert!(log.contains(env::GITHUB_APP_ID), "{log}");
    let signed = github.signed().await;
    assert!(!signed.is_empty() && signed.iter().all(|(token, _)| token.is_none()), "{signed:?}");

    // people write in their own names all the same
    let asked = program.client.post(format!("{}/api/v1/experiments", program.url)).bearer_auth(BOB.token);
    let answer = asked.json(&json!({ "name": "digits", "source": EXPERIMENT })).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    assert!(program.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_its_key_is_waited_for() {
    let (folder, mlflow, kubernetes) = (Folder::new(), Tracking::start(true).await, Kubernetes::start().await);
    folder.name_cluster(kubernetes.address());
    let github = GitHub::start(&Project::new().path("work")).await.unwrap();
    let mut variables = on_github(&folder, &github, &mlflow.url);
    let key = folder.path("key.pem");
    variables.push((env::GITHUB_APP_ID, "1".to_owned()));
    variables.push((env::GITHUB_APP_PRIVATE_KEY_FILE, key.clone()));
    let program = Program::start(&variables).await;
    assert_eq!(program.get("/healthz").await.0, 200);
    program.lacks(&["the GitHub App cannot sign in", "key.pem", env::GITHUB_APP_PRIVATE_KEY_FILE]).await;
    std::fs::write(&key, "not a key").unwrap();
    until("the key is looked at again", async || !program.missing().await.contains("key.pem")).await;
    program.lacks(&["the GitHub App cannot sign in"]).await;
    assert!(program.stop().await.success());
}
