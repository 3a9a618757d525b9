//! Each part is killed while a job trains. The job completes all the same: a fault costs time, and nothing else.

use std::time::Duration;

use anyhow::{Result, ensure};
use slipway_e2e::{EASY, Experiment, Stack, text, until};

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
        let before = pods(stack, &job)?;
        stack.kill_worker(&job, rank)?;
        let took = goes_on(stack, &job, &before)?;
        println!(
            "rank {rank} of {job} was killed: training went on after {:.1} s (goal: 10 or less)",
            took.as_secs_f64()
        );
        completes(stack, name, &job)?;
        // who loses worker 1 stores a checkpoint, from which the next attempt continues the same run. Rank 0 may be killed before it has stored
        // any: then the next attempt begins a run of its own, and the killed one's has ended.
        let most = if rank == 0 { 2 } else { 1 };
        let runs = stack.runs(name)?;
        ensure!(runs.len() <= most, "rank {rank} of {job} was killed: {runs:#?}");
    }
    Ok(())
}

/// The pods of a job, by their unique ids.
fn pods(stack: &Stack, job: &str) -> Result<Vec<String>> {
    Ok(stack.pods_of(job)?.iter().map(|pod| text(pod, "/metadata/uid").to_owned()).collect())
}

/// Waits until rank 0 has done a step in a pod that is none of these. Returns how long that took.
fn goes_on(stack: &Stack, job: &str, before: &[String]) -> Result<Duration> {
    let ((), took) = until(&format!("{job} goes on"), LIMIT, || {
        for pod in stack.pods_of(job)? {
            let rank = text(&pod, "/metadata/labels/batch.kubernetes.io~1job-completion-index");
            if rank != "0" || before.iter().any(|uid| uid == text(&pod, "/metadata/uid")) {
                continue;
            }
            if stack.kubectl().run(&["logs", "-n", "training", text(&pod, "/metadata/name")])?.contains("first_step") {
                return Ok(Ok(()));
            }
        }
        Ok(Err("no new pod of rank 0 has done a step".to_owned()))
    })?;
    Ok(took)
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
