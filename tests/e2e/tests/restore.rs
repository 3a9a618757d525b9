//! The drill of docs/operations.md: a cluster is lost, and another one is made from its repository and its backup.
//!
//! It takes the test cluster down, so `make e2e` runs it last.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use slipway_e2e::{EASY, Experiment, Run, Stack, Version, until};

/// More than a handful of jobs, so that a new cluster holds them back.
const REGISTERED: Experiment = Experiment {
    name: "restore-registered",
    architecture: "mlp",
    epochs: 1,
    learning_rates: &["0.001", "0.0012", "0.0014", "0.0016", "0.0018", "0.002"],
    gate: EASY,
};
/// One whose model its gate refuses: it is done as well.
const REFUSED: Experiment =
    Experiment { name: "restore-refused", architecture: "mlp", epochs: 1, learning_rates: &["0.001"], gate: ">= 1" };

#[test]
fn a_fresh_cluster_with_a_restored_backup_trains_nothing_again() -> Result<()> {
    let lost = Stack::get()?;
    let mut jobs = lost.start(&REGISTERED)?.jobs;
    jobs.extend(lost.start(&REFUSED)?.jobs);
    all_complete(lost, &jobs)?;
    let before = history(lost)?;
    ensure!(before.0.iter().filter(|version| jobs.contains(&version.job)).count() == 6, "{before:#?}");
    let backup = lost.back_up()?;

    let stack = lost.in_a_fresh_cluster()?;
    let held = stack.bootstrapped.report["heldJobs"].as_u64().unwrap_or_default();
    ensure!(held >= 7, "a new cluster holds its jobs back: {}", stack.bootstrapped.report);
    let application = stack.application("training-jobs")?;
    ensure!(application.sync == "OutOfSync", "{application:#?}");
    let shown = stack.slipway(&["status", "--cluster"])?;
    let shown = shown["components"].as_array().into_iter().flatten().find(|one| one["name"] == "training-jobs");
    let message = shown.context("status does not show training-jobs")?["message"].to_string();
    ensure!(message.contains("held back") && message.contains("--jobs start"), "{message}");

    stack.restore(&backup)?;
    until("the registry is as it was", Duration::from_secs(240), || {
        let now = history(&stack)?;
        Ok(if now == before { Ok(()) } else { Err(format!("{now:#?}")) })
    })?;
    // the files too: the server asks for them, and checks their digest
    let version = before.0.iter().find(|version| jobs.contains(&version.job)).context("a version")?;
    let path = format!("/v2/models/mnist/versions/{}", version.number);
    until("a restored version can be served", Duration::from_secs(120), || Ok(Ok(stack.ask_server_as_page(&path)?)))?;
    for job in &jobs {
        ensure!(stack.job(job).is_err(), "{job} was started although it is held back");
    }

    let report = stack.slipway(&["bootstrap", "local", "--jobs", "start"])?;
    ensure!(report["heldJobs"] == 0, "{report}");
    all_complete(&stack, &jobs)?;
    ensure!(history(&stack)? == before, "something trained again:\n{before:#?}\n{:#?}", history(&stack)?);
    stack.wait_until_healthy_except(&["root", "training-jobs"]).map(drop)
}

fn all_complete(stack: &Stack, jobs: &[String]) -> Result<()> {
    for job in jobs {
        let (end, message) = stack.ended(job, Duration::from_secs(600))?;
        ensure!(end == "Complete", "{job}: {end}: {message}");
    }
    Ok(())
}

/// Every version, and the runs of the two experiments.
fn history(stack: &Stack) -> Result<(Vec<Version>, Vec<Run>)> {
    let mut runs = stack.runs(REGISTERED.name)?;
    runs.extend(stack.runs(REFUSED.name)?);
    Ok((stack.versions()?, runs))
}
