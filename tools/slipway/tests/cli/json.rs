//! `-o json`: one JSON value on standard output, whatever happens, and nothing beside it unless there is something to warn about.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::json;
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::deployed::Deployed;
use crate::project::{Project, Ran};

/// Commands and the exit code of each, in this order, in a project with a tree, a forge and a registry.
const COMMANDS: [(&[&str], i32); 41] = [
    (&["new", "wide"], 0),
    (&["new", "wide"], 3),
    (&["plan"], 0),
    (&["plan", "--markdown"], 0),
    (&["plan", "experiments/none.yaml"], 3),
    (&["render", "--check"], 4),
    (&["render"], 0),
    (&["render", "--check"], 0),
    (&["check"], 0),
    (&["diff"], 0),
    (&["diff", "--base", "none"], 3),
    (&["propose", "experiments/digits.yaml", "--remote", "../forge.git", "--dry-run"], 0),
    (&["propose", "experiments/digits.yaml", "--remote", "../forge.git"], 0),
    (&["propose", "experiments/digits.yaml", "--remote", "/nowhere"], 3),
    (&["promote", "mnist", "--remote", "../forge.git"], 0),
    (&["promote", "mnist", "--remote", "../forge.git", "--version", "7"], 3),
    (&["report", "1", "--remote", "../forge.git"], 0),
    (&["report", "9", "--remote", "../forge.git"], 3),
    (&["show", "1", "--remote", "../forge.git"], 0),
    (&["revert", "1", "--remote", "../forge.git"], 3),
    (&["merge", "1", "--remote", "../forge.git"], 0),
    (&["close", "1", "--remote", "../forge.git"], 3),
    (&["revert", "1", "--remote", "../forge.git"], 0),
    (&["cancel", "digits", "--remote", "../forge.git"], 0),
    (&["archive", "--remote", "../forge.git", "--dry-run"], 0),
    (&["archive", "--remote", "../forge.git", "--environment", "moon"], 3),
    (&["history"], 0),
    (&["history", "--environment", "moon"], 3),
    (&["trace", "mnist@1"], 3),
    (&["trace", "mnist@7"], 3),
    (&["bootstrap", "local"], 5),
    (&["status"], 0),
    (&["status", "--cluster"], 5),
    (&["up", "--detach"], 5),
    (&["up"], 5),
    (&["down"], 0),
    (&["demo", "--exit"], 5),
    (&["dataset", "verify", "datasets/ten.yaml"], 6),
    (&["drift"], 3),
    (&["image", "list"], 0),
    (&["doctor"], 5),
];

/// Those among them that print what they found, also when something is missing.
const INCOMPLETE: [&[&str]; 2] = [&["doctor"], &["trace", "mnist@1"]];

/// MLflow with a version that can be promoted.
async fn mlflow() -> MockServer {
    let tags = json!([
        { "key": "slipway.accuracy", "value": "0.97" },
        { "key": "slipway.digest", "value": format!("sha256:{}", "b".repeat(64)) },
        { "key": "slipway.trainjob", "value": "digits-0123abcd" },
    ]);
    let version = json!({ "name": "mnist", "version": "1", "status": "READY", "run_id": "r", "source": "models:/m", "tags": tags });
    let stub = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(json!({ "model_versions": [version] }));
    Mock::given(method("GET")).and(path_regex("model-versions/search$")).respond_with(answer).mount(&stub).await;
    stub
}

fn run(deployed: &Deployed, arguments: &[&str], mlflow: &str) -> Ran {
    let nowhere = deployed.project.top().join("nowhere");
    deployed.run_with(arguments, |command: &mut Command| {
        command.arg("-o").arg("json").env("MLFLOW_TRACKING_URI", mlflow).env_remove("KUBERNETES_SERVICE_HOST");
        for variable in [
            "KUBECONFIG",
            "SLIPWAY_TRAINER",
            "SLIPWAY_LAUNCHER",
            "SLIPWAY_SERVER",
            "SLIPWAY_MANAGER",
            "SLIPWAY_MONITOR",
            "SLIPWAY_PYTHON",
            "SLIPWAY_DEMO_UI",
        ] {
            command.env(variable, &nowhere);
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_prints_one_value_and_nothing_else() {
    let (deployed, mlflow) = (Deployed::new(), mlflow().await);
    deployed.project.write("apps/README.md", "no images");
    for (arguments, code) in COMMANDS {
        let ran = run(&deployed, arguments, &mlflow.uri());
        assert_eq!(ran.code(), code, "{arguments:?}: {ran:?}");
        assert_eq!(ran.errors(), "", "{arguments:?}: {ran:?}");
        let value = ran.json();
        assert!(value.is_object() || value.is_array(), "{arguments:?}: {value}");
        let failed = code != 0 && !INCOMPLETE.contains(&arguments);
        assert_eq!(value["error"].is_string() && value["findings"].is_array(), failed, "{arguments:?}: {value}");
    }
}

#[test]
fn no_command_is_forgotten() {
    let project = Project::new();
    let tried: BTreeSet<&str> = COMMANDS.iter().map(|(arguments, _)| arguments[0]).collect();
    let help = project.run(&["--help"]).text();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let named = commands.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let all: BTreeSet<&str> = named.filter_map(|line| line.split_whitespace().next()).collect();
    // a completion script is what it is, and `help` is clap's
    let expected: BTreeSet<&str> = all.into_iter().filter(|name| !["completions", "help"].contains(name)).collect();
    assert_eq!(tried, expected);
}
