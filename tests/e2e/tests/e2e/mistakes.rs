//! What a bad commit does: it says why, and hurts nothing else.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use slipway_e2e::{Stack, until};

const LIMIT: Duration = Duration::from_secs(240);

/// A job as it is rendered, with one thing wrong.
fn job(name: &str, runtime: &str, memory: &str, more: &str) -> String {
    format!(
        "apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {{name: {name}, namespace: training}}
spec:
  runtimeRef: {{apiGroup: trainer.kubeflow.org, kind: ClusterTrainingRuntime, name: {runtime}}}
  trainer:
    numNodes: 1
    image: localhost:5001/slipway/trainer:none
    resourcesPerNode: {{limits: {{memory: {memory}}}, requests: {{cpu: 10m, memory: {memory}}}}}
{more}"
    )
}

#[test]
fn a_bad_commit_is_degraded_with_a_reason_and_its_revert_heals() -> Result<()> {
    let stack = Stack::get()?;
    let image = stack.kubectl().get(&["clustertrainingruntimes.trainer.kubeflow.org", "slipway-torch"])?;
    ensure!(image["metadata"]["name"] == "slipway-torch");
    let trainer = trainer_image(stack)?;
    let files = [
        ("e2e-typo", job("e2e-typo", "slipway-torch", "64Mi", "    numNodez: 2\n")),
        ("e2e-runtime", job("e2e-runtime", "slipway-torhc", "64Mi", "")),
        (
            "e2e-memory",
            job("e2e-memory", "slipway-torch", "8Mi", "").replace("localhost:5001/slipway/trainer:none", &trainer),
        ),
    ];
    stack.change("Three mistakes", |root| {
        for (name, text) in &files {
            fs::write(root.join(format!("overlays/local/training-jobs/{name}.yaml")), text)?;
        }
        Ok(())
    })?;
    let (seen, took) = until("the jobs' Application is Degraded", LIMIT, || {
        let seen = stack.application("training-jobs")?;
        let says = ["numNodez", "slipway-torhc"].iter().all(|word| seen.said.contains(word));
        Ok(if seen.health == "Degraded" && says { Ok(seen) } else { Err(format!("{seen:#?}")) })
    })?;
    println!("after {:.1} s Argo CD says:\n{}", took.as_secs_f64(), seen.said);
    // too little memory: the job itself says that it failed
    let (end, message) = stack.ended("e2e-memory", LIMIT)?;
    ensure!(end == "Failed" && !message.is_empty(), "{end}: {message}");
    println!("e2e-memory: {message}");
    // people ask this way
    let doctor = stack.slipway(&["doctor", "--cluster"]);
    let said = doctor.map_or_else(|error| error.to_string(), |said| said.to_string());
    ensure!(said.contains("training-jobs") && said.contains("slipway-torhc"), "{said}");
    stack.all_well_but(&["root", "training-jobs"])?;

    stack.change("Revert the mistakes", |root| {
        for (name, _) in &files {
            fs::remove_file(root.join(format!("overlays/local/training-jobs/{name}.yaml")))?;
        }
        Ok(())
    })?;
    until("the mistakes are gone", LIMIT, || {
        let seen = stack.application("training-jobs")?;
        let there = files.iter().any(|(name, _)| stack.job(name).is_ok() || seen.said.contains(name));
        Ok(if seen.sync == "Synced" && !there { Ok(()) } else { Err(format!("{seen:#?}")) })
    })?;
    Ok(())
}

fn trainer_image(stack: &Stack) -> Result<String> {
    let cluster = fs::read_to_string(stack.repository().root().join("clusters/local/cluster.yaml"))?;
    let line = cluster.lines().find_map(|line| line.trim().strip_prefix("trainerImage:"));
    Ok(line.context("clusters/local names no trainer")?.trim().to_owned())
}
