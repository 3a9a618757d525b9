//! The services while everything refuses them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use slipway_loop::process::{Process, free_port};
use slipway_loop::programs::{given, program};
use tokio::process::Command;

use crate::DIGEST;
use crate::commands::REMOTE;
use crate::surrounding::Surrounding;

/// The server and the page while MLflow refuses them: their logs, and what they answer.
pub(crate) async fn services(surrounding: &Surrounding) -> Result<()> {
    let models = surrounding.folder.path().join("models.yaml");
    std::fs::write(&models, format!("models:\n  - {{name: mnist, version: 1, digest: \"{DIGEST}\"}}\n"))?;
    let cache = surrounding.folder.path().join("served");
    let (models, cache) = (models.display().to_string(), cache.display().to_string());
    let variables = [
        ("SLIPWAY_MODELS", models.as_str()),
        ("SLIPWAY_CACHE", &cache),
        ("SLIPWAY_LISTEN", "127.0.0.1:0"),
        ("SLIPWAY_LISTEN_INTERNAL", "127.0.0.1:0"),
    ];
    let command = surrounding.command(&program("slipway-server")?, &variables)?;
    let mut server = Process::start(command.as_std(), &surrounding.folder.path().join("server.log"))?;
    let line = server.logs("\"listening\"").await?;
    let listening: Value = serde_json::from_str(&line)?;
    let address = |name: &str| listening[name].as_str().map(str::to_owned).context("an address");
    let (public, internal) = (address("listening")?, address("internal")?);
    // the list of models has been read, and MLflow has refused
    server.logs("HTTP 403").await?;
    let client = slipway_http::loopback(Duration::from_secs(30))?;
    for address in [&public, &internal] {
        for path in ["healthz", "readyz", "metrics", "v2", "v2/models", "v2/models/mnist", "v2/models/mnist/versions/1"]
        {
            let body = client.get(format!("http://{address}/{path}")).send().await?.bytes().await?;
            surrounding.hold_none(path, &body);
        }
    }
    // only this address asks MLflow when a version is asked for
    let version = client.get(format!("http://{internal}/v2/models/mnist/versions/1")).send().await?;
    let (status, body) = (version.status(), version.text().await?);
    ensure!(status == 503 && body.contains("HTTP 403"), "{status} {body}");
    surrounding.hold_none("the server's log", server.log().as_bytes());

    let port = free_port()?.to_string();
    let with_login = format!("http://ann:m4rked-server@{internal}");
    let variables = [
        ("SLIPWAY_SERVER_URL", with_login.as_str()),
        ("MLFLOW_PUBLIC_URL", "https://ann:m4rked-public@mlflow.example"),
        ("STREAMLIT_SERVER_PORT", &port),
        ("STREAMLIT_SERVER_ADDRESS", "127.0.0.1"),
        ("STREAMLIT_LOGGER_LEVEL", "debug"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    for uri in ["http://ann:m4rked-uri@{stub}", "http://ann:m4rked-uri@127.0.0.1:9", "http://ann:m4rked/uri@{stub}"] {
        let mut command = surrounding.command(&given("SLIPWAY_PYTHON")?, &variables)?;
        command.env("MLFLOW_TRACKING_URI", uri.replace("{stub}", &surrounding.stub));
        command.args(["-m", "streamlit", "run", "app.py"]).current_dir(surrounding.clone.join("apps/demo-ui"));
        let mut page = Process::start(command.as_std(), &surrounding.folder.path().join("page.log"))?;
        page.answers(&format!("http://127.0.0.1:{port}/_stcore/health")).await?;
        let mut session = Command::new(given("SLIPWAY_PYTHON")?);
        session.arg(surrounding.clone.join("tests/loop/page_session.py")).arg(&port);
        ensure!(surrounding.finish(&mut session).await?, "the page has no session");
        surrounding.hold_none("the page's log", page.log().as_bytes());
    }
    Ok(())
}

/// The training manager while the cluster, MLflow and GitHub refuse it, and with a repository of this machine: its log, and what it answers
/// to those who read, and to those who write with a right token and with a wrong one.
pub(crate) async fn manager(surrounding: &Surrounding) -> Result<()> {
    let client = slipway_http::loopback(Duration::from_secs(30))?;
    let path = |name: &str| surrounding.folder.path().join(name).display().to_string();
    let (bare, cache, token) = (path("acme/ml.git"), path("manager"), path("home/.manager-token"));
    for (repository, own) in [(REMOTE, "m4rked-person"), (&bare, "m4rked-manager")] {
        let variables = [
            ("SLIPWAY_ENVIRONMENT", "local"),
            ("SLIPWAY_REPOSITORY", repository),
            ("SLIPWAY_CACHE", &cache),
            ("SLIPWAY_LEASE_NAMESPACE", "training-manager"),
            ("SLIPWAY_MANAGER_TOKEN_FILE", &token),
            ("SLIPWAY_LISTEN", "127.0.0.1:0"),
        ];
        let command = surrounding.command(&program("slipway-manager")?, &variables)?;
        let mut manager = Process::start(command.as_std(), &surrounding.folder.path().join("manager.log"))?;
        let line: Value = serde_json::from_str(&manager.logs("\"listening\"").await?)?;
        let api = format!("http://{}", line["listening"].as_str().context("an address")?);
        // the API server has refused
        manager.logs("does not answer as it should").await?;
        for path in
            ["healthz", "readyz", "metrics", "openapi.json", "api/v1/summary", "api/v1/experiments", "api/v1/trials"]
        {
            let body = client.get(format!("{api}/{path}")).send().await?.bytes().await?;
            surrounding.hold_none(path, &body);
        }
        for token in [own, "m4rked-wrong"] {
            for (path, body) in [
                ("experiments", json!({"name": "mnist-mlp", "source": "spec: ["})),
                ("experiments/mnist-mlp/cancel", json!({"environment": "local"})),
            ] {
                let request = client.post(format!("{api}/api/v1/{path}")).bearer_auth(token).json(&body);
                let answer = request.send().await?;
                ensure!(answer.status().is_client_error() || answer.status().is_server_error(), "{path}: {answer:?}");
                surrounding.hold_none(path, &answer.bytes().await?);
            }
        }
        surrounding.hold_none("the manager's log", manager.log().as_bytes());
    }
    Ok(())
}

/// The dataset monitor while everything refuses it, and with a repository of this machine: its log, and what it answers to those who read, and to
/// those who send notifications with a right token and with a wrong one.
pub(crate) async fn monitor(surrounding: &Surrounding) -> Result<()> {
    let client = slipway_http::loopback(Duration::from_secs(30))?;
    let path = |name: &str| surrounding.folder.path().join(name).display().to_string();
    let (bare, cache, token) = (path("acme/ml.git"), path("monitor"), path("home/.manager-token"));
    let stub = format!("http://{}", surrounding.stub);
    for repository in [REMOTE, &bare] {
        let variables = [
            ("SLIPWAY_ENVIRONMENT", "local"),
            ("SLIPWAY_REPOSITORY", repository),
            ("SLIPWAY_CACHE", &cache),
            ("SLIPWAY_LEASE_NAMESPACE", "dataset-monitor"),
            ("SLIPWAY_EVENTS_TOKEN_FILE", &token),
            ("SLIPWAY_SERVER_URL", &stub),
            ("AWS_ENDPOINT_URL_S3", &stub),
            ("SLIPWAY_LISTEN", "127.0.0.1:0"),
        ];
        let command = surrounding.command(&program("slipway-monitor")?, &variables)?;
        let mut monitor = Process::start(command.as_std(), &surrounding.folder.path().join("monitor.log"))?;
        let line: Value = serde_json::from_str(&monitor.logs("\"listening\"").await?)?;
        let api = format!("http://{}", line["listening"].as_str().context("an address")?);
        // the API server has refused
        monitor.logs("does not answer as it should").await?;
        for path in ["healthz", "readyz", "metrics", "api/v1/datasets"] {
            let body = client.get(format!("{api}/{path}")).send().await?.bytes().await?;
            surrounding.hold_none(path, &body);
        }
        for (token, status) in [("m4rked-manager", 204), ("m4rked-wrong", 401)] {
            let event = json!({"EventName": "s3:ObjectCreated:Put", "Records": []});
            let answer = client.post(format!("{api}/events")).bearer_auth(token).json(&event).send().await?;
            ensure!(answer.status() == status, "{token}: {answer:?}");
            surrounding.hold_none("events", &answer.bytes().await?);
        }
        surrounding.hold_none("the monitor's log", monitor.log().as_bytes());
    }
    Ok(())
}
