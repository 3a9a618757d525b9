//! Each part is killed while a job trains. The job completes all the same, with the same model: a fault costs time, and nothing else.

use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use slipway_e2e::{EASY, Experiment, Stack, Version, text, until};

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The pods of a namespace with a label.
    Pods { namespace: &'static str, label: &'static str },
    /// The node's container runtime.
    Runtime,
}

const MINIO: Part = Part::Pods { namespace: "minio", label: "app.kubernetes.io/name=minio" };
const MLFLOW: Part = Part::Pods { namespace: "mlflow", label: "app.kubernetes.io/name=mlflow" };

/// The experiment for each fault.
const FAULTS: [(&str, Part); 7] = [
    ("e2e-minio", MINIO),
    ("e2e-postgres", Part::Pods { namespace: "postgres", label: "app.kubernetes.io/name=postgres" }),
    ("e2e-mlflow", MLFLOW),
    ("e2e-runtime", Part::Runtime),
    ("e2e-server", Part::Pods { namespace: "server", label: "app.kubernetes.io/name=server" }),
    ("e2e-manager", Part::Pods { namespace: "training-manager", label: "app.kubernetes.io/name=training-manager" }),
    ("e2e-argocd", Part::Pods { namespace: "argocd", label: "app.kubernetes.io/name=argocd-application-controller" }),
];
/// A job waits up to 12 minutes for each service, and then trains again.
const LIMIT: Duration = Duration::from_secs(900);
/// How often JobSet starts the workers of a job again (base/trainer-runtime).
const RESTARTS: u32 = 3;

impl Part {
    fn kill(self, stack: &Stack) -> Result<()> {
        match self {
            Self::Pods { namespace, label } => stack.kubectl().kill(namespace, label).map(drop),
            Self::Runtime => stack.kill_runtime(),
        }
    }
}

#[test]
fn what_is_killed_while_a_job_trains_costs_time_and_nothing_else() -> Result<()> {
    let stack = Stack::get()?;
    for (name, part) in FAULTS {
        let job = start(stack, name)?;
        part.kill(stack)?;
        completes(stack, name, &job)?;
        // the workers waited: none of them started again
        let runs = stack.runs(name)?;
        ensure!(runs.len() == 1, "{part:?} was killed, and {job} trained again: {runs:#?}");
    }
    stack.wait_until_healthy_except(&["root", "training-jobs"]).map(drop)
}

/// Workers, MLflow, the store and the node's container runtime, at random moments.
#[test]
#[ignore = "takes hours: `make e2e KILLS=yes`"]
fn a_hundred_kills_cost_time_and_nothing_else() -> Result<()> {
    const KILLS: u32 = 100;
    /// The longest time between two kills, in milliseconds. A job trains for about a minute.
    const MOMENT: u64 = 20_000;

    let stack = Stack::get()?;
    let mut random = fastrand::Rng::with_seed(19);
    let mut kills = 0;
    for number in 0.. {
        if kills == KILLS {
            break;
        }
        let name: &'static str = format!("e2e-kills-{number}").leak();
        let job = start(stack, name)?;
        let mut lost = 0;
        while kills < KILLS {
            sleep(Duration::from_millis(random.u64(..MOMENT)));
            if stack.ended(&job, Duration::ZERO).is_ok() {
                break;
            }
            match random.u8(..4) {
                0 if lost == RESTARTS => continue,
                0 => {
                    let running = running_workers(stack, &job)?;
                    // between two attempts there is none
                    let Some(worker) = random.choice(&running) else { continue };
                    let delete = ["delete", "pod", worker, "-n", "training", "--ignore-not-found"];
                    stack.kubectl().run(&[&delete[..], &["--grace-period=0", "--force", "--wait=false"]].concat())?;
                    lost += 1;
                }
                other => {
                    let part = [MINIO, MLFLOW, Part::Runtime][usize::from(other) - 1];
                    // its last kill may be so recent that nothing is there
                    until(&format!("{part:?} can be killed"), LIMIT, || Ok(Ok(part.kill(stack)?)))?;
                }
            }
            kills += 1;
        }
        completes(stack, name, &job)?;
        println!("{job}: {kills} of {KILLS} kills");
    }
    stack.wait_until_healthy_except(&["root", "training-jobs"]).map(drop)
}

/// The pods of a job that run.
fn running_workers(stack: &Stack, job: &str) -> Result<Vec<String>> {
    let pods = stack.pods_of(job)?;
    let running = pods.iter().filter(|pod| text(pod, "/status/phase") == "Running");
    Ok(running.map(|pod| text(pod, "/metadata/name").to_owned()).collect())
}

#[test]
fn a_killed_worker_is_not_the_end_of_a_job() -> Result<()> {
    let stack = Stack::get()?;
    for (name, rank) in [("e2e-leader", 0), ("e2e-worker", 1)] {
        let job = start(stack, name)?;
        let before = pods(stack, &job)?;
        let killed = Instant::now();
        stack.kill_worker(&job, rank)?;
        goes_on(stack, &job, &before)?;
        println!(
            "rank {rank} of {job} was killed: training went on after {:.1} s (goal: 10 or less)",
            killed.elapsed().as_secs_f64()
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

/// Waits until rank 0 has done a step in a pod that is none of these.
fn goes_on(stack: &Stack, job: &str, before: &[String]) -> Result<()> {
    until(&format!("{job} goes on"), LIMIT, || {
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
    })
    .map(drop)
}

fn start(stack: &Stack, name: &'static str) -> Result<String> {
    let experiment = Experiment { name, architecture: "mlp", epochs: 40, learning_rates: &["0.001"], gate: EASY };
    let job = stack.start(&experiment)?.jobs[0].clone();
    stack.training(&job, Duration::from_secs(180))?;
    Ok(job)
}

/// Waits until the job is complete, and checks that its model is the one that nobody disturbs.
fn completes(stack: &Stack, name: &str, job: &str) -> Result<()> {
    let (found, undisturbed) = (registered(stack, name, job)?, undisturbed(stack)?);
    ensure!(found.digest == undisturbed, "{job} trained {}, and undisturbed it is {undisturbed}", found.digest);
    Ok(())
}

/// The digest of the model that these jobs train, from one that nobody disturbs: they differ in their names alone.
fn undisturbed(stack: &Stack) -> Result<&'static str> {
    static DIGEST: OnceLock<Result<String, String>> = OnceLock::new();
    let name = "e2e-undisturbed";
    let train = || Ok::<_, anyhow::Error>(registered(stack, name, &start(stack, name)?)?.digest);
    let digest = DIGEST.get_or_init(|| train().map_err(|error| format!("{error:?}")));
    digest.as_deref().map_err(|error| anyhow!("there is nothing to compare with: {error}"))
}

/// Waits until the job is complete, and checks that nothing is half done: one version that can be served, and no run that stays open.
fn registered(stack: &Stack, name: &str, job: &str) -> Result<Version> {
    stack.completes(job, LIMIT)?;
    // what was killed last may have been killed when the job was done
    let (mut versions, _) = until("MLflow answers", LIMIT, || Ok(Ok(stack.versions()?)))?;
    versions.retain(|version| version.job == job);
    ensure!(
        versions.len() == 1 && versions[0].status == "READY" && !versions[0].digest.is_empty(),
        "{job} registered {versions:#?}"
    );
    let version = versions.remove(0);
    let runs = stack.runs(name)?;
    let finished: Vec<_> = runs.iter().filter(|run| run.status == "FINISHED").collect();
    ensure!(finished.len() == 1 && finished[0].id == version.run, "{job}: {runs:#?}");
    ensure!(runs.iter().all(|run| run.status != "RUNNING"), "{job} left a run open: {runs:#?}");
    // the server loads the version and checks its digest
    let path = format!("/v2/models/mnist/versions/{}", version.number);
    until("the registered version can be served", Duration::from_secs(120), || {
        Ok(Ok(stack.ask_server_as_page(&path)?))
    })?;
    Ok(version)
}
