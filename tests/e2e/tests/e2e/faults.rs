//! Each part is killed while a job trains. The job completes all the same: a fault costs time, and nothing else.

use std::time::Duration;

use anyhow::{Result, ensure};
use slipway_e2e::{EASY, Experiment, Stack, until};

/// The experiment for each fault, with the namespace and label of the pods that are killed.
const FAULTS: [(&str, &str, &str); 6] = [
    ("e2e-minio", "minio", "app.kubernetes.io/name=minio"),
    ("e2e-postgres", "postgres", "app.kubernetes.io/name=postgres"),
    ("e2e-mlflow", "mlflow", "app.kubernetes.io/name=mlflow"),
    ("e2e-server", "server", "app.kubernetes.io/name=server"),
    ("e2e-manager", "training-manager", "app.kubernetes.io/name=training-manager"),
    ("e2e-argocd", "argocd", "app.kubernetes.io/name=argocd-application-controller"),
];
/// A job waits up to 12 minutes for each service, and then trains again.
const LIMIT: Duration = Duration::from_secs(900);

#[test]
fn what_is_killed_while_a_job_trains_costs_time_and_nothing_else() -> Result<()> {
    let stack = Stack::get()?;
    for (name, namespace, label) in FAULTS {
        let job = start(stack, name)?;
        stack.kubectl().kill(namespace, label)?;
        completes(stack, name, &job)?;
        // the workers waited: none of them started again
        let runs = stack.runs(name)?;
        ensure!(runs.len() == 1, "{namespace} was killed, and {job} trained again: {runs:#?}");
    }
    stack.wait_until_healthy_except(&["root", "training-jobs"]).map(drop)
}

#[test]
fn a_killed_worker_is_not_the_end_of_a_job() -> Result<()> {
    let stack = Stack::get()?;
    for (name, rank) in [("e2e-leader", 0), ("e2e-worker", 1)] {
        let job = start(stack, name)?;
        stack.kill_worker(&job, rank)?;
        completes(stack, name, &job)?;
        // the killed attempt has a run as well, which has ended
        let runs = stack.runs(name)?;
        ensure!(runs.len() == 2, "rank {rank} of {job} was killed: {runs:#?}");
    }
    Ok(())
}

fn start(stack: &Stack, name: &'static str) -> Result<String> {
    let experiment = Experiment { name, architecture: "mlp", epochs: 40, learning_rates: &["0.001"], gate: EASY };
    let job = stack.start(&experiment)?.jobs[0].clone();
    stack.training(&job, Duration::from_secs(180))?;
    Ok(job)
}

/// Waits until the job is complete, and checks that nothing is half done: one version that can be served, and no run that stays open.
fn completes(stack: &Stack, name: &str, job: &str) -> Result<()> {
    stack.completes(job, LIMIT)?;
    let versions = stack.versions()?;
    let of: Vec<_> = versions.iter().filter(|version| version.job == job).collect();
    ensure!(of.len() == 1 && of[0].status == "READY" && !of[0].digest.is_empty(), "{job} registered {of:#?}");
    let runs = stack.runs(name)?;
    let finished: Vec<_> = runs.iter().filter(|run| run.status == "FINISHED").collect();
    ensure!(finished.len() == 1 && finished[0].id == of[0].run, "{job}: {runs:#?}");
    ensure!(runs.iter().all(|run| run.status != "RUNNING"), "{job} left a run open: {runs:#?}");
    // the server loads the version and checks its digest
    let path = format!("/v2/models/mnist/versions/{}", of[0].number);
    until("the registered version can be served", Duration::from_secs(120), || Ok(Ok(stack.ask_server_as_page(&path)?)))
        .map(drop)
}
