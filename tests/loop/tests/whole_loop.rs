//! The whole product in one test: propose, merge, train, register, promote, serve, draw, ask; and the same as people follow it, with the
//! training manager.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use slipway_cluster::{Cluster, train_jobs};
use slipway_forge::{BareForge, PullRequestState};
use slipway_loop::command;
use slipway_loop::demo::{self, Addresses, OpenDemo, Report};
use slipway_loop::followed::{Followed, reported, the_promotion};
use slipway_loop::programs::{fresh_clone, given, repository};
use slipway_loop::tracking;
use tokio::process::Command;

#[tokio::test]
async fn a_newcomer_trains_by_merging_and_asks_about_a_drawn_digit() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let clone = folder.path().join("slipway");
    fresh_clone(&clone)?;

    let open = demo::open(&clone).await?;
    report_is_right(&open.report)?;
    mlflow_knows_every_trial(&open).await?;
    a_client_of_kubernetes_sees_every_trial(&open).await?;
    a_browser_draws_a_digit(&open).await?;
    python_agrees_with_the_server(&open).await?;
    the_demo_and_the_manager_promote_once(&open).await?;
    let followed = Followed::start(&open.addresses, &clone).await?;
    tokio::try_join!(followed.until_served(), every_other_example_passes_its_own_gate(&open, &clone))?;
    let first = accuracies(&open.report);

    // The demo is killed without a chance to clean up; nothing that it started may keep running.
    let addresses = open.end(Signal::KILL).await?;
    everything_is_gone(&addresses).await?;

    // The next run recovers the state that the killed demo left, and the same trials give the same numbers to the last bit.
    let again = demo::run_and_exit(&clone).await?;
    report_is_right(&again)?;
    ensure!(first == accuracies(&again), "accuracy differs between two runs: {first:?} and {:?}", accuracies(&again));
    work_tree_is_untouched(&clone).await
}

fn report_is_right(report: &Report) -> Result<()> {
    ensure!(report.trials.len() == 2, "two trials are in the sweep: {report:?}");
    let best = report.trials.iter().map(|trial| trial.accuracy).fold(f64::NAN, f64::max);
    ensure!(best >= 0.96, "the better trial reached {best}");
    ensure!(report.trials.iter().any(|trial| trial.version.is_some()), "nothing was registered: {report:?}");
    ensure!(report.trials.iter().all(|trial| trial.images_per_second > 0.0 && trial.seconds > 0.0));
    let prediction = &report.prediction;
    ensure!(prediction.label == prediction.answer, "{prediction:?}");
    ensure!(prediction.probabilities.len() == 10);
    ensure!((prediction.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-4, "{prediction:?}");
    ensure!(report.seconds.contains_key("total"));
    Ok(())
}

async fn mlflow_knows_every_trial(open: &OpenDemo) -> Result<()> {
    for trial in &open.report.trials {
        let version = trial.version.as_deref().context("both trials pass their gate")?;
        tracking::holds_everything(&open.addresses.mlflow, &trial.name, version).await?;
    }
    Ok(())
}

/// As in a cluster: phase, progress and metrics of each TrainJob, as its workers reported them.
async fn a_client_of_kubernetes_sees_every_trial(open: &OpenDemo) -> Result<()> {
    let cluster = Cluster::of_kubeconfig(&open.addresses.kubeconfig, None).await?;
    let jobs = train_jobs(&cluster).await?;
    for trial in &open.report.trials {
        let job = jobs.iter().find(|job| job.name == trial.name).context("it is not there")?;
        ensure!(job.phase == "Complete" && job.progress == Some(100) && job.trial.is_some(), "{job:?}");
        ensure!(job.metrics.iter().any(|(name, _)| name == "test_accuracy"), "{job:?}");
    }
    Ok(())
}

/// The demo promotes without waiting for anybody, and the manager proposes the same version within seconds.
async fn the_demo_and_the_manager_promote_once(open: &OpenDemo) -> Result<()> {
    let forge = BareForge::open(&open.addresses.forge)?;
    // before it writes this, the manager has proposed whatever it proposes
    reported(&forge, 1, "2 trials finished", Duration::from_secs(60)).await?;
    let promotion = the_promotion(&forge, "mnist")?;
    ensure!(promotion.state == PullRequestState::Merged, "{promotion:?}");
    Ok(())
}

/// Proposes and merges each experiment of the repository that the demo has not run. Each job must register a version.
async fn every_other_example_passes_its_own_gate(open: &OpenDemo, clone: &Path) -> Result<()> {
    let mut others = 0;
    for entry in std::fs::read_dir(clone.join("experiments"))? {
        let file = entry?.file_name().into_string().ok().context("a name in UTF-8")?;
        let Some(name) = file.strip_suffix(".yaml").filter(|name| *name != "mnist-cnn") else { continue };
        others += 1;
        let proposed = command::json(clone, &["propose", &format!("experiments/{file}")]).await?;
        let number = proposed["pullRequest"]["number"].as_u64().context("no pull request was opened")?;
        BareForge::open(&open.addresses.forge)?.merge(number)?;
        let starts = proposed["plan"]["changes"].as_array().into_iter().flatten();
        let starts = starts.flat_map(|change| change["starts"].as_array().into_iter().flatten());
        let jobs: Vec<&str> = starts.filter_map(|start| start["name"].as_str()).collect();
        ensure!(!jobs.is_empty() && jobs.iter().all(|job| job.starts_with(name)), "{proposed}");
        for job in jobs {
            registers_a_version(clone, job).await?;
        }
    }
    ensure!(others > 0, "the demo is not the only example");
    Ok(())
}

async fn registers_a_version(clone: &Path, job: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        let status = command::json(clone, &["status"]).await?;
        let found = |list: &str, key: &str| {
            status[list].as_array().into_iter().flatten().find(|one| one[key] == job).cloned().unwrap_or_default()
        };
        let state = found("jobs", "name");
        if state["phase"] == "Complete" || state["phase"] == "Failed" {
            ensure!(state["phase"] == "Complete" && state["unregistered"].is_null(), "{state}");
            ensure!(found("versions", "trial")["version"].is_string(), "{job} registered nothing: {status}");
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{job} has not finished: {state}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn accuracies(report: &Report) -> Vec<(String, u64)> {
    let mut all: Vec<_> = report.trials.iter().map(|trial| (trial.name.clone(), trial.accuracy.to_bits())).collect();
    all.sort();
    all
}

async fn a_browser_draws_a_digit(open: &OpenDemo) -> Result<()> {
    let script = repository().join("tests/browser/draw.mjs");
    let status = Command::new("node").arg(script).arg(&open.addresses.page).status().await.context("node is needed")?;
    ensure!(status.success(), "the browser test ended with {status}");
    Ok(())
}

async fn python_agrees_with_the_server(open: &OpenDemo) -> Result<()> {
    let script = repository().join("tests/loop/pyfunc_agrees.py");
    let status = Command::new(given("SLIPWAY_PYTHON_TORCH")?)
        .arg(script)
        .env("MLFLOW_TRACKING_URI", &open.addresses.mlflow)
        .env("SLIPWAY_SERVER_URL", &open.addresses.server)
        .status()
        .await?;
    ensure!(status.success(), "mlflow.pyfunc.load_model and the server disagree: {status}");
    Ok(())
}

async fn everything_is_gone(addresses: &Addresses) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    for url in [&addresses.s3, &addresses.mlflow, &addresses.server, &addresses.manager, &addresses.page] {
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            ensure!(Instant::now() < deadline, "{url} still answers after its parent was killed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

async fn work_tree_is_untouched(clone: &Path) -> Result<()> {
    let status = Command::new("git").arg("-C").arg(clone).args(["status", "--porcelain"]).output().await?;
    ensure!(status.stdout.is_empty(), "the demo changed the work tree:\n{}", String::from_utf8_lossy(&status.stdout));
    Ok(())
}
