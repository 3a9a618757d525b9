//! The workers of one job: started with what Kubeflow Trainer would tell them, ended together.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::child::{Child, Exit, Launch};
use crate::command::expand;
use crate::port::Port;
use crate::queue::Place;
use crate::train_job::{TrainJob, program};
use crate::{Result, files};

/// How many lines of a worker's log are told when it fails.
const LINES: usize = 8;

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Complete,
    Failed { reason: &'static str, message: String },
    Stopped,
}

/// Runs all workers in the job's folder until they are done, one fails, the deadline passes, or `stop` is asked for. None of
/// them is left when this returns.
pub(crate) async fn run(job: &TrainJob, folder: &Path, place: &Place, stop: CancellationToken) -> Outcome {
    let end = CancellationToken::new();
    let mut workers = JoinSet::new();
    match start(job, folder, place) {
        Ok(children) => {
            for (rank, child) in children.into_iter().enumerate() {
                workers.spawn(watch(rank, child, end.clone()));
            }
        }
        Err(error) => return Outcome::Failed { reason: "FailedJobs", message: error.to_string() },
    }
    let outcome = tokio::select! {
        failure = first_failure(&mut workers, folder) => match failure {
            None => Outcome::Complete,
            Some(message) => Outcome::Failed { reason: "FailedJobs", message },
        },
        () = deadline(job.deadline_seconds) => Outcome::Failed {
            reason: "DeadlineExceeded",
            message: "TrainJob exceeded its active deadline".to_owned(),
        },
        () = stop.cancelled() => Outcome::Stopped,
    };
    end.cancel();
    while workers.join_next().await.is_some() {}
    outcome
}

fn start(job: &TrainJob, folder: &Path, place: &Place) -> Result<Vec<Child>> {
    // The first worker listens there; nobody else is given it in between.
    let port = Port::take(None)?.release();
    (0..job.nodes).map(|rank| start_one(job, rank, port, folder, place)).collect()
}

fn start_one(job: &TrainJob, rank: usize, port: u16, folder: &Path, place: &Place) -> Result<Child> {
    let rank = rank.to_string();
    let mut environment = place.environment.clone();
    for (name, value) in &job.environment {
        let value = expand(value, &environment);
        environment.push((name.clone(), value));
    }
    environment.extend(
        [
            ("PET_NNODES", job.nodes.to_string()),
            ("PET_NPROC_PER_NODE", job.processes_per_node.to_string()),
            ("PET_NODE_RANK", rank.clone()),
            ("PET_MASTER_ADDR", "127.0.0.1".to_owned()),
            ("PET_MASTER_PORT", port.to_string()),
            // What an indexed Job gives each of its pods.
            ("JOB_COMPLETION_INDEX", rank.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let mut command = job.command.iter().map(|part| expand(part, &environment));
    let program = program(&command.next().unwrap_or_default(), &place.trainer);
    let arguments = command.map(Into::into).collect();
    let log = folder.join(format!("worker-{rank}.log"));
    Child::spawn(&place.supervisor, Launch { name: "a worker", program: &program, arguments, environment, folder, log })
}

/// Waits for one worker, or ends it once told.
async fn watch(rank: usize, mut child: Child, end: CancellationToken) -> Option<(usize, Exit)> {
    tokio::select! {
        exit = child.wait() => return Some((rank, exit)),
        () = end.cancelled() => {}
    }
    child.stop().await;
    None
}

/// The first worker that ends badly, in words; none when all have ended well.
async fn first_failure(workers: &mut JoinSet<Option<(usize, Exit)>>, folder: &Path) -> Option<String> {
    while let Some(ended) = workers.join_next().await {
        match ended {
            Ok(Some((_, exit))) if exit.success() => {}
            Ok(Some((rank, exit))) => {
                let log = folder.join(format!("worker-{rank}.log"));
                return Some(format!(
                    "worker {rank}: {exit}; the end of {}:\n{}",
                    log.display(),
                    files::tail(&log, LINES)
                ));
            }
            Ok(None) => {}
            Err(error) => return Some(format!("a worker's watch ended: {error}")),
        }
    }
    None
}

async fn deadline(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}
