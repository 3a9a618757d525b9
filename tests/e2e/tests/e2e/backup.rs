//! The commands of docs/operations.md: a backup, a loss, a restore.

use std::time::Duration;

use anyhow::{Result, ensure};
use slipway_e2e::{Experiment, Stack, until};

#[test]
fn a_restored_backup_brings_back_runs_versions_and_their_files() -> Result<()> {
    let stack = Stack::get()?;
    let proposed =
        stack.start(&Experiment { name: "e2e-backup", architecture: "mlp", epochs: 2, learning_rates: &["0.001"] })?;
    let job = &proposed.jobs[0];
    let (end, message) = stack.ended(job, Duration::from_secs(240))?;
    ensure!(end == "Complete", "{message}");
    let before = stack.versions()?;
    ensure!(before.iter().any(|version| version.job == *job), "{before:#?}");

    let backup = stack.back_up()?;
    // everything is lost: every table and every object
    stack.lose_everything()?;
    until("the registry is empty", Duration::from_secs(120), || {
        let left = stack.versions()?;
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("{} versions", left.len())) })
    })?;
    stack.restore(&backup)?;
    until("the registry is as it was", Duration::from_secs(240), || {
        let now = stack.versions()?;
        Ok(if now == before { Ok(()) } else { Err(format!("{now:#?}")) })
    })?;
    // the files too: the server asks for them, and checks their digest
    let version =
        before.iter().find(|version| version.job == *job).map(|version| version.number.clone()).unwrap_or_default();
    let path = format!("/v2/models/mnist/versions/{version}");
    until("a restored version can be served", Duration::from_secs(120), || Ok(Ok(stack.ask_server_as_page(&path)?)))?;
    stack.wait_until_healthy_except(&["root", "training-jobs"]).map(drop)
}
