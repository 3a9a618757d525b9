//! The real MLflow on the S3 endpoint. Needs SLIPWAY_PYTHON, which `make test` sets.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use slipway_embedded::{Configuration, Error, Programs, State, Supervisor, begin};
use slipway_mlflow::Client;
use slipway_repositories::git;

/// What runs in MLflow's own Python against the running server.
const USE: &str = r#"
import os, sys, tempfile, mlflow
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("store")
content = bytes(range(256)) * 40000
with mlflow.start_run() as run:
    mlflow.log_text("hello", "notes/a.txt")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "big.bin")
        open(path, "wb").write(content)
        mlflow.log_artifact(path, "deep/er")
client = mlflow.MlflowClient()
assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["deep", "notes"], client.list_artifacts(run.info.run_id)
listed = client.list_artifacts(run.info.run_id, "deep/er")
assert [(f.path, f.file_size) for f in listed] == [("deep/er/big.bin", len(content))], listed
assert mlflow.artifacts.load_text(run.info.artifact_uri + "/notes/a.txt") == "hello"
got = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="deep/er/big.bin")
assert open(got, "rb").read() == content
try:
    mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="none")
    raise SystemExit("a missing artifact was found")
except Exception as error:
    print(type(error).__name__, error)
"#;

/// As its users have it who are behind a proxy: it cannot reach this machine's loopback, so nothing here may ask it.
#[tokio::test]
async fn mlflow_keeps_its_artifacts_on_our_s3() {
    let mut loop_process = tokio::process::Command::new(std::env::current_exe().unwrap());
    loop_process
        .args(["--exact", "the_loop", "--ignored", "--nocapture"])
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        // nothing listens there
        loop_process.env(variable, "http://127.0.0.1:9").env(variable.to_lowercase(), "http://127.0.0.1:9");
    }
    let status = loop_process.kill_on_drop(true).status().await.unwrap();
    assert!(status.success(), "{status}");
}

fn python() -> PathBuf {
    let python = std::env::var_os("SLIPWAY_PYTHON").map(PathBuf::from);
    python.expect("SLIPWAY_PYTHON is not set: run this through `make test`")
}

/// A loop in a folder with a small page, and with a server that says where it listens and does no more.
fn configuration(folder: &Path, python: PathBuf) -> Configuration {
    let (repository, demo_ui) = (folder.join("repository"), folder.join("page"));
    std::fs::create_dir_all(&repository).unwrap();
    std::fs::create_dir_all(&demo_ui).unwrap();
    std::fs::write(demo_ui.join("app.py"), "import streamlit\nstreamlit.write('here')\n").unwrap();
    git(&repository, &["init", "--quiet"]);
    git(&repository, &["commit", "--quiet", "--allow-empty", "-m", "first"]);
    // Says where it listens as the server does; the loop needs no more of it to start.
    let server = program(folder, "server", "#!/bin/sh\necho '{\"internal\":\"127.0.0.1:1\"}'\nexec sleep 1000\n");
    let manager = program(folder, "manager", &MANAGER.replace("PYTHON", &python.display().to_string()));
    Configuration {
        repository,
        state: folder.join("state"),
        afresh: true,
        // the monitor says where it listens, and answers, as the manager does
        programs: Programs {
            trainer: server.clone(),
            launcher: server.clone(),
            server,
            monitor: manager.clone(),
            manager,
            python,
            demo_ui,
        },
        supervisor: Supervisor(vec![env!("CARGO_BIN_EXE_slipway-supervise").into()]),
        packages: Vec::new(),
        page_port: None,
        cpu_millis: None,
        observer: Arc::new(|_, _| {}),
    }
}

fn program(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// In place of the manager: it says where it listens, keeps what it was told, and answers.
const MANAGER: &str = r#"#!PYTHON
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os._exit(1)
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
    def log_message(self, *arguments):
        pass
host, port = os.environ["SLIPWAY_LISTEN"].split(":")
server = http.server.HTTPServer((host, int(port)), Handler)
with open("told-%s.json" % os.path.basename(os.environ["SLIPWAY_CACHE"]), "w") as told:
    json.dump(dict(os.environ), told)
print(json.dumps({"listening": "127.0.0.1:%d" % server.server_port}), flush=True)
server.serve_forever()
"#;

/// What the manager was told: where everything is, and a token that only its owner can read.
fn check_manager(state: &State, folder: &Path) {
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("told-manager.json")).unwrap()).unwrap();
    let expected = [
        ("KUBECONFIG", state.kubeconfig.display().to_string()),
        ("SLIPWAY_REPOSITORY", state.forge.display().to_string()),
        ("MLFLOW_TRACKING_URI", state.mlflow.clone()),
        ("SLIPWAY_CACHE", folder.join("cache/manager").display().to_string()),
        ("SLIPWAY_ENVIRONMENT", "local".to_owned()),
        ("SLIPWAY_LEASE_NAMESPACE", "training-manager".to_owned()),
    ];
    for (name, value) in expected {
        assert_eq!(told[name], value.as_str(), "{name}");
    }
    assert!(told.get("SLIPWAY_PROJECT").is_none() && told.get("AWS_SECRET_ACCESS_KEY").is_none(), "{told}");
    for file in [told["SLIPWAY_MANAGER_TOKEN_FILE"].as_str().unwrap(), told["KUBECONFIG"].as_str().unwrap()] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// A manager that ends is there again at the same address, and everything else goes on.
async fn is_started_again(url: &str) {
    let client = slipway_http::loopback(std::time::Duration::from_secs(5)).unwrap();
    let ask = async |path: &str| client.get(format!("{url}{path}")).send().await;
    assert!(ask("/crash").await.is_err());
    let begun = std::time::Instant::now();
    while !ask("/healthz").await.is_ok_and(|answer| answer.status().is_success()) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "it was not started again");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The process of the loop's MLflow, which is not its supervisor's.
fn mlflow_process(state: &Path) -> Option<Pid> {
    let store = format!("sqlite:///{}", state.join("mlflow.db").display());
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        let mut arguments = command.split(|byte| *byte == 0).skip(1);
        (arguments.next()? == b"-c" && arguments.any(|argument| argument == store.as_bytes())).then_some(())?;
        Pid::from_raw(id)
    })
}

/// An MLflow that is killed is there again at the same address, with all that it has stored, and everything else goes on.
async fn mlflow_is_started_again(url: &str, state: &Path) {
    let client = Client::new(url).unwrap();
    let before = client.get_experiment("store").await.unwrap();
    let killed = mlflow_process(state).unwrap();
    kill_process(killed, Signal::KILL).unwrap();
    let begun = std::time::Instant::now();
    while mlflow_process(state).is_none_or(|process| process == killed) || client.health().await.is_err() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(120), "it was not started again");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(before.is_some() && client.get_experiment("store").await.unwrap() == before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "is run by mlflow_keeps_its_artifacts_on_our_s3"]
async fn the_loop() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = configuration(folder.path(), python());
    let starting = begin(configuration.clone()).await.unwrap();
    assert!(matches!(begin(configuration.clone()).await.err(), Some(Error::Locked { .. })));
    assert_eq!(State::read(&configuration.state).unwrap(), None, "it is not ready yet");
    let running = starting.ready().await.unwrap();
    let state = State::read(&configuration.state).unwrap().unwrap();
    assert_eq!(&state, running.addresses());
    check_manager(&state, &configuration.state);
    is_started_again(&state.manager).await;

    let used = tokio::process::Command::new(python())
        .args(["-c", USE, &state.mlflow])
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .await
        .unwrap();
    let log = std::fs::read_to_string(configuration.state.join("logs/mlflow.log")).unwrap();
    assert!(used.status.success(), "{}\n{log}", String::from_utf8_lossy(&used.stderr));
    mlflow_is_started_again(&state.mlflow, &configuration.state).await;

    running.shutdown().await.unwrap();
    assert_eq!(State::read(&configuration.state).unwrap(), None);
    for url in [&state.s3, &state.mlflow, &state.manager, &state.page] {
        assert!(std::net::TcpStream::connect(url.trim_start_matches("http://")).is_err(), "{url} still answers");
    }
    // Everything is free again.
    drop(begin(configuration).await.unwrap());
}

/// In place of Python: just before the page starts, another program takes the port that is meant for it. The first times, as often as the file
/// `times` has lines.
const TAKING: &str = r#"#!/bin/sh
case "$*" in *"streamlit run"*)
  if [ -s FOLDER/times ]; then
    sed -i 1d FOLDER/times
    port=$(echo "$*" | sed 's/.*--server.port \([0-9]*\).*/\1/')
    PYTHON -c "
import socket, time
taken = socket.create_server(('127.0.0.1', $port))
open('FOLDER/taken-$port', 'w')
time.sleep(1000)" &
    while [ ! -e FOLDER/taken-$port ]; do sleep 0.01; done
  fi
esac
exec PYTHON "$@"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_port_is_taken_gets_another() {
    let folder = tempfile::tempdir().unwrap();
    let text = TAKING.replace("FOLDER", &folder.path().display().to_string());
    let script = program(folder.path(), "python", &text.replace("PYTHON", &python().display().to_string()));
    let mut configuration = configuration(folder.path(), script);
    let taken = || -> Vec<String> {
        let names = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.to_string_lossy().strip_prefix("taken-").map(str::to_owned)).collect()
    };

    std::fs::write(folder.path().join("times"), "1\n2\n").unwrap();
    let running = begin(configuration.clone()).await.unwrap().ready().await.unwrap();
    let page = running.addresses().page.clone();
    assert_eq!(taken().len(), 2);
    assert!(taken().iter().all(|port| !page.ends_with(&format!(":{port}"))), "{page}");
    running.shutdown().await.unwrap();

    // the port that a person asks for is not replaced
    let given = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    configuration.page_port = Some(given);
    std::fs::write(folder.path().join("times"), "1\n").unwrap();
    let error = begin(configuration).await.unwrap().ready().await.err().unwrap().to_string();
    assert!(error.contains("the page ended") && error.contains(&format!("Port {given} is not available")), "{error}");
}
