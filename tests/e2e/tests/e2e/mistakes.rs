//! A bad commit: the cluster says what is wrong, and nothing else is affected.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use slipway_e2e::{EASY, Experiment, Stack, until};

const LIMIT: Duration = Duration::from_secs(240);

/// A TrainJob with one mistake.
fn job(name: &str, runtime: &str, memory: &str, image: &str) -> String {
    format!(
        "apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {{name: {name}, namespace: training}}
spec:
  runtimeRef: {{apiGroup: trainer.kubeflow.org, kind: ClusterTrainingRuntime, name: {runtime}}}
  trainer:
    numNodes: 1
    image: {image}
    resourcesPerNode: {{limits: {{memory: {memory}}}, requests: {{cpu: 10m, memory: {memory}}}}}
"
    )
}

#[test]
fn a_bad_commit_is_degraded_with_a_reason_and_its_revert_heals() -> Result<()> {
    let stack = Stack::get()?;
    let image = trainer_image(stack)?;
    let files = [
        ("e2e-typo", misspelt(stack)?),
        ("e2e-runtime", job("e2e-runtime", "slipway-torhc", "64Mi", &image)),
        ("e2e-memory", job("e2e-memory", "slipway-torch", "8Mi", &image)),
    ];
    stack.change("Three mistakes", |root| {
        for (name, text) in &files {
            fs::write(root.join(format!("overlays/local/training-jobs/{name}.yaml")), text)?;
        }
        Ok(())
    })?;
    // the API server accepts these two, and they fail by themselves
    for name in ["e2e-typo", "e2e-memory"] {
        let (end, message) = stack.ended(name, LIMIT)?;
        ensure!(end == "Failed" && !message.is_empty(), "{name}: {end}: {message}");
        println!("{name}: {message}");
    }
    let (seen, _) = until("the jobs' Application names each mistake", LIMIT, || {
        let seen = stack.application("training-jobs")?;
        let says = ["slipway-torhc", "e2e-typo", "e2e-memory"].iter().all(|word| seen.messages.contains(word));
        Ok(if seen.health == "Degraded" && says { Ok(seen) } else { Err(format!("{seen:#?}")) })
    })?;
    println!("Argo CD says:\n{}", seen.messages);
    // people ask `slipway doctor`, which shows the worker's own message
    let report = stack.slipway_fails(6, &["doctor", "--cluster"])?;
    for word in ["training-jobs", "slipway-torhc", "PET_NNODES"] {
        ensure!(report.contains(word), "doctor does not mention {word}: {report}");
    }
    stack.wait_until_healthy_except(&["root", "training-jobs"])?;

    stack.change("Revert the mistakes", |root| {
        for (name, _) in &files {
            fs::remove_file(root.join(format!("overlays/local/training-jobs/{name}.yaml")))?;
        }
        Ok(())
    })?;
    until("the mistakes are gone", LIMIT, || {
        let seen = stack.application("training-jobs")?;
        let there = files.iter().any(|(name, _)| stack.job(name).is_ok());
        Ok(if seen.is_synced_and_healthy() && !there { Ok(()) } else { Err(format!("{seen:#?}")) })
    })?;
    Ok(())
}

/// A job of two workers as it is rendered, and then edited by someone who does not run `slipway check`: Kubernetes drops a field that
/// it does not know, so the job would train on one worker. The worker itself refuses.
fn misspelt(stack: &Stack) -> Result<String> {
    stack.repository().pull()?;
    let root = stack.repository().root();
    let name = "e2e-misspelt";
    let experiment = Experiment { name, architecture: "mlp", epochs: 1, learning_rates: &["0.001"], gate: EASY };
    let file = root.join(experiment.file());
    fs::write(&file, experiment.yaml())?;
    stack.slipway(&["render"])?;
    let folder = root.join("overlays/local/training-jobs");
    let mut rendered = fs::read_dir(&folder)?.filter_map(std::result::Result::ok).map(|entry| entry.path());
    let rendered = rendered.find(|path| path.to_string_lossy().contains(name)).context("nothing was rendered")?;
    let text = fs::read_to_string(&rendered)?;
    ensure!(text.contains("numNodes: 2"), "{text}");
    let job = rendered.file_stem().context("a name")?.to_string_lossy().into_owned();
    Ok(text.replace("numNodes: 2", "numNodez: 2").replacen(&format!("name: {job}"), "name: e2e-typo", 1))
}

fn trainer_image(stack: &Stack) -> Result<String> {
    let cluster = fs::read_to_string(stack.repository().root().join("clusters/local/cluster.yaml"))?;
    let line = cluster.lines().find_map(|line| line.trim().strip_prefix("trainerImage:"));
    Ok(line.context("clusters/local does not name a trainer")?.trim().to_owned())
}
