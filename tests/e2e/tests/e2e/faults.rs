//! Each part is killed while a job trains. It completes, or it fails and says why; nothing is left half done.

use std::time::Duration;

use anyhow::{Result, ensure};
use slipway_e2e::{Experiment, Stack};

/// The experiment for each fault, with the namespace and label of the pods that are killed.
const FAULTS: [(&str, &str, &str); 5] = [
    ("e2e-minio", "minio", "app.kubernetes.io/name=minio"),
    ("e2e-postgres", "postgres", "app.kubernetes.io/name=postgres"),
    ("e2e-mlflow", "mlflow", "app.kubernetes.io/name=mlflow"),
    ("e2e-server", "server", "app.kubernetes.io/name=server"),
    ("e2e-argocd", "argocd", "app.kubernetes.io/name=argocd-application-controller"),
];

#[test]
fn what_is_killed_while_a_job_trains_loses_nothing() -> Result<()> {
    let stack = Stack::get()?;
    for (name, namespace, label) in FAULTS {
        let job = start(stack, name)?;
        stack.kubectl().kill(namespace, label)?;
        over(stack, &job, namespace)?;
    }
    stack.wait_until_healthy_except(&["root", "training-jobs"]).map(drop)
}

#[test]
fn a_killed_worker_is_not_the_end_of_a_job() -> Result<()> {
    let stack = Stack::get()?;
    let job = start(stack, "e2e-worker")?;
    let rank_one = format!("jobset.sigs.k8s.io/jobset-name={job},batch.kubernetes.io/job-completion-index=1");
    stack.kubectl().kill("training", &rank_one)?;
    over(stack, &job, "a worker")
}

fn start(stack: &Stack, name: &'static str) -> Result<String> {
    let proposed = stack.start(&Experiment { name, architecture: "mlp", epochs: 40, learning_rates: &["0.001"] })?;
    let job = proposed.jobs[0].clone();
    stack.training(&job, Duration::from_secs(180))?;
    Ok(job)
}

/// Checks that the job has ended in one of the two allowed ways, and nothing is half done.
fn over(stack: &Stack, job: &str, killed: &str) -> Result<()> {
    let (end, message) = stack.ended(job, Duration::from_secs(420))?;
    println!("{job}, {killed} killed: {end}: {message}");
    // MLflow may itself be restarting
    let (versions, _) =
        slipway_e2e::until("the registry answers", Duration::from_secs(120), || Ok(Ok(stack.versions()?)))?;
    let of: Vec<_> = versions.iter().filter(|version| version.job == job).collect();
    ensure!(
        of.iter().all(|version| version.status == "READY" && !version.digest.is_empty()),
        "half registered: {of:#?}"
    );
    if end == "Complete" {
        ensure!(of.len() == 1, "{job} is complete and has these versions: {of:#?}");
        // it is complete: the server loads it and checks its digest
        let path = format!("/v2/models/mnist/versions/{}", of[0].number);
        slipway_e2e::until("the registered version can be served", Duration::from_secs(120), || {
            Ok(Ok(stack.ask_server_as_page(&path)?))
        })?;
        return Ok(());
    }
    ensure!(!message.is_empty(), "{job} failed and does not say why");
    let application = stack.application("training-jobs")?;
    ensure!(
        application.messages.contains(job) || application.messages.contains(&message),
        "{application:#?} does not say {message}"
    );
    ensure!(of.is_empty(), "{job} failed and registered {of:#?}");
    Ok(())
}
