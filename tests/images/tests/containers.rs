//! The images under containerd and runc: not as root, with a read-only root file system, without any capability.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slipway_images::container::{inside, is_confined, options, stand_in, start, tar, writing_to};
use slipway_images::containerd::Containerd;
use slipway_loop::programs::{fresh_clone, program};

/// A free port of this machine.
fn port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A client for what the containers serve on this machine.
fn client() -> Result<slipway_http::Client> {
    Ok(slipway_http::loopback(Duration::from_secs(30))?)
}

/// Waits until the address answers with a success; the error has the container's log.
async fn answers(containerd: &Containerd, id: &str, url: &str) -> Result<String> {
    let (client, begun) = (client()?, Instant::now());
    loop {
        if let Ok(answer) = client.get(url).send().await
            && answer.status().is_success()
        {
            return Ok(answer.text().await?);
        }
        let log = || std::fs::read_to_string(containerd.folder().join(format!("{id}.log"))).unwrap_or_default();
        ensure!(begun.elapsed() < Duration::from_secs(180), "{url} does not answer:\n{}", log());
        let tasks = containerd.does(&["tasks", "list"])?;
        ensure!(
            tasks.lines().any(|line| line.starts_with(id) && line.contains("RUNNING")),
            "{id} has ended:\n{}",
            log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_containers_train_together_and_the_server_answers_a_digit() -> Result<()> {
    let containerd = Containerd::start()?;
    let clone = containerd.folder().join("clone");
    fresh_clone(&clone)?;
    let trainer = containerd.import(&tar(&clone, "trainer", containerd.folder())?)?;
    let server = containerd.import(&tar(&clone, "server", containerd.folder())?)?;
    one_trial_of_one_epoch(&clone)?;

    // the loop of one machine, with containers in the place of its trainer and its server
    let demo = Command::new(program("slipway")?)
        .arg("--repo")
        .arg(&clone)
        .args(["-o", "json", "demo", "--exit"])
        .env("SLIPWAY_TRAINER", stand_in(&containerd, &trainer, "trainer")?)
        .env("SLIPWAY_SERVER", stand_in(&containerd, &server, "server")?)
        .output()?;
    let output = String::from_utf8_lossy(&demo.stderr).into_owned();
    ensure!(demo.status.success(), "{}\n{output}", String::from_utf8_lossy(&demo.stdout));
    let report: Value = serde_json::from_slice(&demo.stdout)?;
    ensure!(report["trials"].as_array().map(Vec::len) == Some(1), "{report}");
    ensure!(report["trials"][0]["version"].is_string(), "{report}");
    ensure!(report["prediction"]["label"] == report["prediction"]["answer"], "{report}");
    let started = |name: &str| std::fs::read_to_string(containerd.folder().join(format!("{name}.started")));
    ensure!(started("trainer")?.lines().count() == 2, "{} containers trained", started("trainer")?);
    ensure!(started("server")?.lines().count() >= 1);
    // none is left
    ensure!(containerd.does(&["containers", "list", "--quiet"])?.trim().is_empty());
    Ok(())
}

/// The clone's experiment as a single trial of one epoch, committed.
fn one_trial_of_one_epoch(clone: &std::path::Path) -> Result<()> {
    let path = clone.join("experiments/mnist-cnn.yaml");
    let text = std::fs::read_to_string(&path)?;
    let text = text
        .replace("epochs: 3", "epochs: 1")
        .replace("  sweep:\n    training.optimizer.learningRate: [0.001, 0.003]\n", "")
        // what one epoch reaches, far above chance
        .replace("\">= 0.95\"", "\">= 0.8\"");
    ensure!(
        text.contains("epochs: 1") && !text.contains("sweep") && text.contains(">= 0.8"),
        "the example changed: {text}"
    );
    std::fs::write(&path, text)?;
    for arguments in
        [&["add", "-A"][..], &["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qm", "one epoch"]]
    {
        let done = Command::new("git").arg("-C").arg(clone).args(arguments).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trainer_and_server_are_confined() -> Result<()> {
    let containerd = Containerd::start()?;
    let clone = containerd.folder().join("clone");
    fresh_clone(&clone)?;
    let server = containerd.import(&tar(&clone, "server", containerd.folder())?)?;
    let port = port()?;
    let models = containerd.folder().join("models");
    std::fs::create_dir(&models)?;
    std::fs::write(models.join("models.yaml"), "models: []\n")?;
    let listen = format!("127.0.0.1:{port}");
    let done = containerd
        .ctr()
        .args(["run", "--detach"])
        .args(options())
        .args(["--mount", &format!("type=bind,src={},dst=/models,options=rbind:ro", models.display())])
        .args(["--env", "SLIPWAY_MODELS=/models/models.yaml", "--env", "SLIPWAY_CACHE=/tmp/cache"])
        .args(["--env", "MLFLOW_TRACKING_URI=http://127.0.0.1:1", "--env", &format!("SLIPWAY_LISTEN={listen}")])
        .args(["--log-uri", &format!("file://{}/server.log", containerd.folder().display())])
        .args([&server, "server"])
        .output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    answers(&containerd, "server", &format!("http://{listen}/healthz")).await?;
    is_confined(&containerd, "server")?;

    // a trainer without its TrainJob says so, by an exit code that is not zero
    let trainer = containerd.import(&tar(&clone, "trainer", containerd.folder())?)?;
    let done = containerd.ctr().args(["run", "--rm"]).args(options()).args([&trainer, "trainer"]).output()?;
    let output = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    ensure!(!done.status.success() && output.contains("SLIPWAY_TRIAL is not set"), "{} {output}", done.status);
    // as Trainer starts it: by its name alone
    let done =
        containerd.ctr().args(["run", "--rm"]).args(options()).args([&trainer, "named", "slipway-trainer"]).output()?;
    let output = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    ensure!(output.contains("SLIPWAY_TRIAL is not set"), "{output}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_training_manager_answers_and_writes_to_its_cache_alone() -> Result<()> {
    let containerd = Containerd::start()?;
    let clone = containerd.folder().join("clone");
    fresh_clone(&clone)?;
    let image = containerd.import(&tar(&clone, "training-manager", containerd.folder())?)?;
    let listen = format!("127.0.0.1:{}", port()?);
    // nothing else is there: neither a cluster, nor GitHub, nor MLflow
    let config = containerd.folder().join("kubeconfig");
    let nowhere = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "nowhere",
        "clusters": [{"name": "nowhere", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
        "users": [{"name": "nobody", "user": {}}],
    });
    std::fs::write(&config, nowhere.to_string())?;
    let done = containerd
        .ctr()
        .args(["run", "--detach"])
        // as in base/training-manager, without a /tmp
        .args(writing_to("/cache"))
        .args(["--mount", &format!("type=bind,src={},dst=/kubeconfig,options=rbind:ro", config.display())])
        .args(["--env", "KUBECONFIG=/kubeconfig", "--env", "POD_NAMESPACE=training-manager"])
        .args(["--env", "SLIPWAY_CACHE=/cache", "--env", "SLIPWAY_ENVIRONMENT=local"])
        .args(["--env", "SLIPWAY_REPOSITORY=https://github.com/slipway-dev/slipway.git"])
        .args(["--env", "MLFLOW_TRACKING_URI=http://127.0.0.1:1", "--env", &format!("SLIPWAY_LISTEN={listen}")])
        .args(["--log-uri", &format!("file://{}/manager.log", containerd.folder().display())])
        .args([&image, "manager"])
        .output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    answers(&containerd, "manager", &format!("http://{listen}/healthz")).await?;
    is_confined(&containerd, "manager")?;
    // alive, and not ready: it has seen no training
    let ready = client()?.get(format!("http://{listen}/readyz")).send().await?.status();
    ensure!(ready == 503, "{ready}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mlflow_answers_and_has_its_drivers() -> Result<()> {
    let containerd = Containerd::start()?;
    let clone = containerd.folder().join("clone");
    fresh_clone(&clone)?;
    let image = containerd.import(&tar(&clone, "mlflow", containerd.folder())?)?;
    let port = port()?.to_string();
    let environment = [
        ("MLFLOW_BACKEND_STORE_URI", "sqlite:////tmp/mlflow.db"),
        ("MLFLOW_ARTIFACTS_DESTINATION", "/tmp/artifacts"),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
    ];
    let program =
        ["/usr/bin/python3.11", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", &port, "--workers", "1"];
    start(&containerd, &image, "mlflow", &environment, &program)?;
    let version = answers(&containerd, "mlflow", &format!("http://127.0.0.1:{port}/version")).await?;
    ensure!(version == "3.17.2", "{version}");
    is_confined(&containerd, "mlflow")?;
    let drivers = "import psycopg2, boto3, psycopg2.extensions; print(psycopg2.__libpq_version__, boto3.__version__)";
    let output = inside(&containerd, "mlflow", &["/usr/bin/python3.11", "-c", drivers])?;
    ensure!(output.split_whitespace().count() == 2, "{output}");
    // the drivers speak: to nobody, and say so
    let speak = "import psycopg2\ntry:\n    psycopg2.connect('postgresql://u:p@127.0.0.1:1/d')\nexcept psycopg2.OperationalError as error:\n    print(error)";
    let output = inside(&containerd, "mlflow", &["/usr/bin/python3.11", "-c", speak])?;
    ensure!(output.contains("refused"), "{output}");
    let created: Value = client()?
        .post(format!("http://127.0.0.1:{port}/api/2.0/mlflow/experiments/create"))
        .json(&serde_json::json!({ "name": "from-a-container" }))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    created["experiment_id"].as_str().context("an experiment")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_answers() -> Result<()> {
    let containerd = Containerd::start()?;
    let clone = containerd.folder().join("clone");
    fresh_clone(&clone)?;
    let image = containerd.import(&tar(&clone, "demo-ui", containerd.folder())?)?;
    let port = port()?.to_string();
    let environment = [
        ("STREAMLIT_SERVER_PORT", port.as_str()),
        ("STREAMLIT_SERVER_ADDRESS", "127.0.0.1"),
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:1"),
        ("SLIPWAY_SERVER_URL", "http://127.0.0.1:1"),
    ];
    start(&containerd, &image, "page", &environment, &[])?;
    answers(&containerd, "page", &format!("http://127.0.0.1:{port}/_stcore/health")).await?;
    is_confined(&containerd, "page")?;
    let page = client()?.get(format!("http://127.0.0.1:{port}/")).send().await?.text().await?;
    ensure!(page.contains("Streamlit"), "{page}");
    Ok(())
}
