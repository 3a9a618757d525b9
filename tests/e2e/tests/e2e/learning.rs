//! What the product is for, on a cluster: propose, merge, train, register, promote, serve, draw.

use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use slipway_e2e::{Experiment, Stack, text, until};
use slipway_loop::programs::repository;

const EXPERIMENT: Experiment = Experiment {
    name: "e2e-loop",
    architecture: "cnn",
    epochs: 3,
    learning_rates: &["0.001", "0.003"],
    gate: ">= 0.90",
};

/// No network is right about every digit after one epoch.
const REFUSED: Experiment =
    Experiment { name: "e2e-refused", architecture: "mlp", epochs: 1, learning_rates: &["0.001"], gate: ">= 1" };

#[test]
fn a_merged_pull_request_trains_and_a_second_one_serves_what_a_browser_asks() -> Result<()> {
    let stack = Stack::get()?;
    let proposed = stack.start(&EXPERIMENT)?;
    ensure!(proposed.jobs.len() == 2, "{:?}", proposed.jobs);
    for word in ["What changes in the clusters", "TrainJob training/e2e-loop-", "CPU-hours"] {
        ensure!(proposed.body.contains(word), "the pull request does not say {word}: {}", proposed.body);
    }
    rendered_as_everywhere(stack, &proposed.jobs)?;

    for job in &proposed.jobs {
        let percent = stack.training(job, Duration::from_secs(180))?;
        println!("{job}: {percent} % in TrainJob.status");
        ensure!(stack.pods_of(job)?.len() == 2, "{job} does not have two workers");
    }
    for job in &proposed.jobs {
        stack.completes(job, Duration::from_secs(300))?;
        let status = stack.job(job)?["status"].clone();
        ensure!(status["trainerStatus"]["progressPercentage"] == 100, "{status}");
    }

    let versions = stack.versions()?;
    let mut first_step = u64::MAX;
    for job in &proposed.jobs {
        let of: Vec<_> = versions.iter().filter(|version| version.job == *job).collect();
        ensure!(
            of.len() == 1 && of[0].status == "READY" && of[0].digest.starts_with("sha256:"),
            "{job}: {versions:#?}"
        );
        first_step = first_step.min(stack.first_step(&of[0].run)?);
    }
    let merged = proposed.merged.duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as f64;
    println!("from the merge to the first training step: {:.1} s", (first_step as f64 - merged) / 1000.0);

    let promoted = stack.slipway(&["promote", "mnist"])?;
    let number = promoted["pullRequest"]["number"].as_u64().context("no pull request to promote")?;
    stack.merge(number)?;
    let version = text(&promoted, "/version").to_owned();
    let ((), took) = until("the promoted version is in service", Duration::from_secs(180), || {
        let served = stack.ask(&format!("{}/v2/models/mnist", stack.url("models")))?;
        Ok(if served["versions"][0] == version.as_str() { Ok(()) } else { Err(served.to_string()) })
    })?;
    println!("from the merge of the promotion to service: {:.1} s", took.as_secs_f64());

    // the version that was not promoted answers inside, and not through the Gateway
    let other =
        versions.iter().map(|one| &one.number).find(|number| **number != version).context("no other version")?;
    let path = format!("/v2/models/mnist/versions/{other}");
    let inside = stack.ask_server_as_page(&path)?;
    ensure!(inside["versions"][0] == other.as_str(), "{inside}");
    let outside = stack.http().get(format!("{}{path}", stack.url("models"))).send()?.status();
    ensure!(outside == 404, "version {other}, which is not in service, is answered with {outside}");

    let script = repository().join("tests/browser/draw.mjs");
    let status = Command::new("node").arg(script).arg(stack.url("")).status().context("node is needed")?;
    ensure!(status.success(), "the browser test through the Gateway ended with {status}");
    Ok(())
}

/// Checks that the merged manifests are what `slipway render` generates, and what the cluster holds.
fn rendered_as_everywhere(stack: &Stack, jobs: &[String]) -> Result<()> {
    let checked = stack.slipway(&["check"])?;
    ensure!(checked["findings"].as_array().is_some_and(Vec::is_empty), "{checked}");
    for job in jobs {
        let file = stack.repository().root().join(format!("overlays/local/training-jobs/{job}.yaml"));
        let rendered: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file)?)?;
        let (deployed, _) =
            until(&format!("{job} is in the cluster"), Duration::from_secs(60), || Ok(Ok(stack.job(job)?)))?;
        ensure!(holds(&deployed["spec"], &rendered["spec"]), "{job}: {rendered:#} was merged, {deployed:#} is there");
    }
    Ok(())
}

/// Whether `found` holds everything in `expected`. It may also hold defaults.
fn holds(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| found.get(key).is_some_and(|found| holds(found, value)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| holds(found, expected))
        }
        (found, expected) => found == expected,
    }
}

#[test]
fn a_job_whose_model_was_refused_says_so() -> Result<()> {
    let stack = Stack::get()?;
    let proposed = stack.start(&REFUSED)?;
    let job = &proposed.jobs[0];
    stack.completes(job, Duration::from_secs(300))?;
    ensure!(!stack.versions()?.iter().any(|version| version.job == *job), "{job} registered a version");
    let reason = stack.unregistered(job)?;
    let unmet = &reason["unmet"][0];
    ensure!(
        reason["because"] == "gateRefused" && unmet["metric"] == "accuracy" && unmet["bound"] == ">= 1",
        "{reason}"
    );
    let value = unmet["value"].as_f64().context("the gate does not say what it found")?;
    ensure!(value > 0.5 && value < 1.0, "{reason}");
    let shown = stack.slipway_text(&["status", "--cluster"])?;
    let line = shown.lines().find(|line| line.contains(job.as_str()) && line.contains("registered nothing"));
    let says = format!("the gate refused the model: accuracy is {value}, but >= 1 is required");
    ensure!(line.is_some_and(|line| line.contains(&says)), "{says}: {shown}");
    Ok(())
}
