//! Every command and every service with a marked secret in each place where one can stand, in a surrounding in which everything refuses and
//! in one in which everything works. Whatever they print and write is searched.
//!
//! The list of commands is the program's own: a new one fails this test until it is in the table.

mod commands;
mod services;
mod surrounding;
mod upstream;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use slipway_loop::programs::{program, repository};

use crate::commands::{RUNS, Run, commands};
use crate::services::{manager, monitor, services};
use crate::surrounding::Surrounding;
use crate::upstream::upstream;

/// A digest that nothing has.
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[tokio::test]
async fn the_table_has_every_command_and_the_services_are_those_of_apps() -> Result<()> {
    let commands = commands(&program("slipway")?).await?;
    let covered: BTreeSet<String> = RUNS.iter().map(|run| run.command.to_owned()).collect();
    ensure!(
        commands == covered,
        "only in the help or only in the table: {:?}",
        commands.symmetric_difference(&covered)
    );
    let trainer = self::commands(&program("slipway-trainer")?).await?;
    ensure!(trainer == BTreeSet::from(["bench".to_owned()]), "{trainer:?}");
    let mut services = BTreeSet::new();
    for entry in std::fs::read_dir(repository().join("apps"))? {
        services.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    // MLflow is not ours; it runs in the loop
    ensure!(
        services
            == ["dataset-monitor", "demo-ui", "launcher", "mlflow", "server", "trainer", "training-manager"]
                .map(str::to_owned)
                .into(),
        "{services:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everything_refuses() -> Result<()> {
    let surrounding = Surrounding::new(false).await?;
    for run in RUNS.iter().filter(|run| !(run.command == "up" && run.arguments == ["--detach"])) {
        surrounding.slipway(run).await?;
    }
    let trial = format!(
        "{{\"name\": \"digits-1a2b3c4d\", \"experiment\": \"digits\", \"dataset\": {{\"name\": \"mnist-10k\", \"digest\": \"{DIGEST}\"}}, \
         \"model\": {{\"architecture\": \"mlp\", \"dropout\": 0.1}}, \"training\": {{\"epochs\": 1, \"batchSize\": 64, \
         \"optimizer\": {{\"name\": \"adam\", \"learningRate\": 0.001}}, \"seed\": 7}}, \"workers\": 1, \"parameters\": {{}}}}"
    );
    let own = trial.replace(
        "\"model\": {\"architecture\": \"mlp\", \"dropout\": 0.1}, \"training\": {\"epochs\": 1, \"batchSize\": 64, \
         \"optimizer\": {\"name\": \"adam\", \"learningRate\": 0.001}, \"seed\": 7}",
        "\"program\": {\"trainer\": \"own\", \"command\": [\"python\"], \"args\": [], \"parameters\": {}}",
    );
    ensure!(own != trial, "the trial is not the one that is replaced");
    let trainer = program("slipway-trainer")?;
    let launcher = program("slipway-launch")?;
    for (uri, endpoint) in [
        ("http://ann:m4rked-uri@{stub}", "http://{stub}"),
        ("http://ann:m4rked/uri@{stub}", "http://{stub}"),
        ("http://ann:m4rked-uri@{stub}", "http://ann:m4rked-s3@{stub}"),
    ] {
        for (program, trial) in [(&trainer, &trial), (&launcher, &own)] {
            let variables =
                [("SLIPWAY_TRIAL", trial.as_str()), ("MLFLOW_TRACKING_URI", uri), ("AWS_ENDPOINT_URL_S3", endpoint)];
            let succeeded = surrounding.finish(&mut surrounding.command(program, &variables)?).await?;
            ensure!(!succeeded, "{} trained without data", program.display());
        }
    }
    surrounding.finish(surrounding.command(&trainer, &[])?.args(["bench", "--steps", "2"])).await?;
    let server = program("slipway-server")?;
    surrounding.finish(surrounding.command(&server, &[])?.args(["bench", "/does/not/exist"])).await?;
    let wrong = [("SLIPWAY_MODELS", "/m.yaml"), ("SLIPWAY_CACHE", "/c"), ("MLFLOW_TRACKING_URI", "ann:m4rked@{stub}")];
    ensure!(
        !surrounding.finish(&mut surrounding.command(&server, &wrong)?).await?,
        "the server runs without an address"
    );
    services(&surrounding).await?;
    manager(&surrounding).await?;
    monitor(&surrounding).await?;
    upstream(&surrounding).await?;
    surrounding.search().await?;
    // the search means nothing unless the secrets were used
    let received = surrounding.received.lock().map_err(|_| anyhow::anyhow!("a test panicked"))?;
    let received = String::from_utf8_lossy(&received);
    let basic = |login: &str| format!("Basic {}", STANDARD.encode(login));
    for sent in [
        basic("ann:m4rked-uri"),
        basic("ann:m4rked-password"),
        basic("ann:m4rked-file"),
        "Bearer m4rked-github".to_owned(),
        "Bearer m4rked-kube".to_owned(),
        "x-amz-security-token: m4rked-session".to_owned(),
    ] {
        ensure!(received.contains(&sent), "{sent} was never sent");
    }
    // the manager has reached nothing, so it asks nobody with it
    ensure!(!received.contains("m4rked-person"), "a person's token was passed on");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everything_works() -> Result<()> {
    let surrounding = Surrounding::new(true).await?;
    // the others ask the stub, the internet, or for a version that nothing has registered
    let works = |run: &Run| {
        let elsewhere = [
            "doctor",
            "bootstrap",
            "promote",
            "trace",
            "image lock",
            "image build",
            "image venv",
            "image verify",
            "image push",
        ];
        !elsewhere.contains(&run.command)
            && run.variables.is_empty()
            && !run.arguments.iter().any(|text| {
                ["{stub}", "https:", "--cluster", "--complete", "/dev/null"].iter().any(|part| text.contains(part))
            })
    };
    let mut failed = Vec::new();
    for run in RUNS {
        if !surrounding.slipway(run).await? && works(run) {
            failed.push(format!("{} {:?}", run.command, run.arguments));
        }
    }
    ensure!(failed.is_empty(), "these should have worked: {failed:?}");
    surrounding.search().await
}
