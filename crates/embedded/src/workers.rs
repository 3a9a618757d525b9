//! The workers of one job: started with what Kubeflow Trainer would tell them, ended together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_experiment::{TrainJob, expand};
use slipway_names::{env, exit as exit_code};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::JoinMap;

use crate::child::{Child, Exit, Launch};
use crate::notes::{JobNotes, Note};
use crate::port::Port;
use crate::training_runtime::TrainingRuntime;
use crate::worker_status::WorkerEnd;
use crate::{Error, Result, log, trainers};

/// How many lines of a worker's log a failure quotes.
const LINES: usize = 8;
/// The exit code of a worker whose own cannot be found out.
const UNKNOWN: i32 = 255;
/// How long the end of the worker that another one has lost is waited for.
const CAUSE: Duration = Duration::from_secs(5);
/// What the name of a worker's log ends with once the worker is started again.
pub(crate) const PREVIOUS: &str = "previous.log";
/// How often workers are started at most, if another program takes the port of rank 0 each time.
const STARTS: u32 = 3;

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Complete,
    Failed { reason: &'static str, message: String },
    Stopped,
}

impl Outcome {
    fn failed_jobs(message: String) -> Self {
        Self::Failed { reason: "FailedJobs", message }
    }

    fn deadline_exceeded() -> Self {
        Self::Failed { reason: "DeadlineExceeded", message: "TrainJob exceeded its active deadline".to_owned() }
    }
}

/// Exit codes of workers that would fail in the same way again: as in `base/trainer-runtime`.
const HOPELESS: [i32; 3] = [2, exit_code::INPUT as i32, exit_code::GATE as i32];

/// Runs all workers in the job's folder until they are done, the deadline passes, or `stop` is asked for. If one fails, all of them start again, as in a
/// cluster: they go on from their last checkpoint. None of them is left when this returns. Their starts and ends are noted.
pub(crate) async fn run(
    job: &TrainJob,
    folder: &Path,
    runtime: &TrainingRuntime,
    notes: &JobNotes,
    stop: CancellationToken,
) -> Outcome {
    if stop.is_cancelled() {
        return Outcome::Stopped;
    }
    let deadline = tokio::time::sleep(Duration::from_secs(job.active_deadline_seconds));
    tokio::pin!(deadline);
    let prepared = tokio::select! {
        prepared = trainers::prepare(job, folder, runtime) => prepared,
        () = &mut deadline => return Outcome::deadline_exceeded(),
        () = stop.cancelled() => return Outcome::Stopped,
    };
    let mut own = match prepared {
        Ok(own) => own,
        Err(reason) => return Outcome::failed_jobs(reason),
    };
    // its token is worth nothing once this returns
    let access = match runtime.status_server.as_ref().map(|server| server.admit(job, folder)).transpose() {
        Ok(access) => access,
        Err(error) => return Outcome::failed_jobs(error.to_string()),
    };
    own.extend(access.iter().flat_map(|access| access.environment()));
    let (mut starts, mut restarts) = (0, 0);
    loop {
        starts += 1;
        let (port, children) = match start(job, &own, folder, runtime) {
            Ok(started) => started,
            Err(error) => return Outcome::failed_jobs(error.to_string()),
        };
        let mut workers = Workers::watch(children, notes);
        let failure = tokio::select! {
            failure = workers.first_failure(folder) => failure,
            () = &mut deadline => {
                workers.stop().await;
                return Outcome::deadline_exceeded();
            }
            () = stop.cancelled() => {
                workers.stop().await;
                return Outcome::Stopped;
            }
        };
        workers.stop().await;
        match failure {
            None => return Outcome::Complete,
            Some(_) if starts < STARTS && port_was_taken(folder, port).await => {
                tracing::warn!("another program took port {port}, so the workers of {} start again", job.name);
            }
            Some(Failure { code, message }) => {
                if restarts == runtime.max_restarts || code.is_some_and(|code| HOPELESS.contains(&code)) {
                    return Outcome::failed_jobs(message);
                }
                (starts, restarts) = (0, restarts + 1);
                notes.take(Note::Restarting);
                tracing::warn!(
                    "the workers of {} start again, restart {restarts} of {}: {message}",
                    job.name,
                    runtime.max_restarts
                );
            }
        }
    }
}

/// Starts all workers; also returns the port that rank 0 is to listen on. It was free just now, and that is all: until rank 0 listens
/// there, the system may give it to another program. `own` are the variables of this job's program.
fn start(
    job: &TrainJob,
    own: &[(String, String)],
    folder: &Path,
    runtime: &TrainingRuntime,
) -> Result<(u16, Vec<Child>)> {
    let port = Port::take(None)?.release();
    let children: Result<Vec<Child>> =
        (0..job.num_nodes).map(|rank| start_one(job, own, rank, port, folder, runtime)).collect();
    Ok((port, children?))
}

/// Whether rank 0 ended because another program listens on its port. Nothing is lost by starting again then: the workers meet there
/// before they do anything else.
async fn port_was_taken(folder: &Path, port: u16) -> bool {
    let port = port.to_string();
    let names_it = |line: &str| line.contains(&port) && line.to_lowercase().contains("address already in use");
    log::tail(&log_of(folder, 0), LINES).await.lines().any(names_it)
}

fn start_one(
    job: &TrainJob,
    own: &[(String, String)],
    rank: u32,
    port: u16,
    folder: &Path,
    runtime: &TrainingRuntime,
) -> Result<Child> {
    let mut environment = runtime.environment.clone();
    environment.extend_from_slice(own);
    for variable in &job.env {
        let value = expand(&variable.value, &environment);
        environment.push((variable.name.clone(), value));
    }
    environment.extend(
        [
            (env::PET_NNODES, job.num_nodes.to_string()),
            (env::PET_NPROC_PER_NODE, job.num_proc_per_node.to_string()),
            (env::PET_NODE_RANK, rank.to_string()),
            (env::PET_MASTER_ADDR, "127.0.0.1".to_owned()),
            (env::PET_MASTER_PORT, port.to_string()),
            // What an indexed Job gives each of its pods.
            ("JOB_COMPLETION_INDEX", rank.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let mut command = job.command.iter().chain(&job.args).map(|part| expand(part, &environment));
    let program = program(&command.next().unwrap_or_default(), runtime);
    let arguments = command.map(Into::into).collect();
    let log = log_of(folder, rank);
    keep(&log)?;
    let launch = Launch { name: "a worker", program: &program, arguments, environment, folder, log };
    Child::spawn(&runtime.supervisor, launch)
}

/// Keeps the log of a worker that starts again.
fn keep(log: &Path) -> Result<()> {
    match std::fs::rename(log, log.with_extension(PREVIOUS)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("keeping", log)(error)),
        _ => Ok(()),
    }
}

/// The program that a command names. The trainer and the launcher go by their names in an image, which is not used here.
fn program(command: &str, runtime: &TrainingRuntime) -> PathBuf {
    match command {
        "slipway-trainer" => runtime.trainer.clone(),
        "slipway-launch" => runtime.launcher.clone(),
        other => PathBuf::from(other),
    }
}

/// The log of a worker in the folder of its job.
pub(crate) fn log_of(folder: &Path, rank: u32) -> PathBuf {
    folder.join(format!("worker-{rank}.log"))
}

/// Why a worker has failed.
struct Failure {
    /// Its exit code, if that is known.
    code: Option<i32>,
    message: String,
}

/// Workers that run.
struct Workers {
    /// The end of each worker by rank; `None` once it was told to end.
    ends: JoinMap<u32, Option<Exit>>,
    stop: CancellationToken,
}

impl Workers {
    fn watch(children: Vec<Child>, notes: &JobNotes) -> Self {
        let stop = CancellationToken::new();
        let mut ends = JoinMap::new();
        for (rank, child) in (0..).zip(children) {
            notes.take(Note::Started(rank));
            let (stop, notes) = (stop.clone(), notes.clone());
            ends.spawn(rank, async move {
                let (exit, end) = end_of(child, stop).await;
                notes.take(Note::Ended(rank, end));
                exit
            });
        }
        Self { ends, stop }
    }

    /// The worker that fails first; `None` when all have succeeded. One that only lost another worker gives way to that one.
    async fn first_failure(&mut self, folder: &Path) -> Option<Failure> {
        let first = self.next_failure().await?;
        let cause = match &first {
            (_, Ok(exit)) if has_lost_another(*exit) => {
                let cause = async {
                    loop {
                        match self.next_failure().await {
                            Some((_, Ok(exit))) if has_lost_another(exit) => {}
                            other => return other,
                        }
                    }
                };
                tokio::time::timeout(CAUSE, cause).await.ok().flatten()
            }
            _ => None,
        };
        let (rank, ended) = cause.unwrap_or(first);
        let exit = match ended {
            Ok(exit) => exit,
            Err(error) => {
                return Some(Failure { code: None, message: format!("worker {rank} is no longer watched: {error}") });
            }
        };
        let log = log_of(folder, rank);
        let said = log::said(&log::tail(&log, LINES).await);
        // the reason comes first: whoever shortens the message cuts its end
        let between = if said.is_empty() { "" } else { ": " };
        let message = format!("worker {rank}: {exit}{between}{said}\nits log is {}", log.display());
        Some(Failure { code: exit.code(), message })
    }

    async fn next_failure(&mut self) -> Option<(u32, std::result::Result<Exit, JoinError>)> {
        while let Some((rank, ended)) = self.ends.join_next().await {
            match ended {
                Ok(None) => {}
                Ok(Some(exit)) if exit.success() => {}
                Ok(Some(exit)) => return Some((rank, Ok(exit))),
                Err(error) => return Some((rank, Err(error))),
            }
        }
        None
    }

    /// Ends those that still run and waits until they are gone.
    async fn stop(mut self) {
        self.stop.cancel();
        while let Some((rank, ended)) = self.ends.join_next().await {
            if let Err(error) = ended {
                tracing::error!("worker {rank} was no longer watched when it was stopped: {error}");
            }
        }
    }
}

/// Whether a worker ended because it had lost another one, whose own exit says why.
fn has_lost_another(exit: Exit) -> bool {
    exit.code() == Some(exit_code::PEER.into())
}

/// Waits for a worker's end, or ends it when told to; its exit is `None` then.
async fn end_of(mut child: Child, stop: CancellationToken) -> (Option<Exit>, WorkerEnd) {
    let exit = tokio::select! {
        exit = child.wait() => exit,
        () = stop.cancelled() => {
            child.stop().await;
            return (None, WorkerEnd::stopped());
        }
    };
    let mut end = WorkerEnd::of_code(exit.code().unwrap_or(UNKNOWN));
    if !exit.success() {
        end.message = log::tail(&child.log, LINES).await;
    }
    (Some(exit), end)
}
