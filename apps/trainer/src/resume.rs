//! Where an attempt begins: at the last checkpoint of an earlier one, or with the first step.

use std::io::Read;
use std::time::Duration;

use slipway_checkpoint::{Attempt, Checkpoints, Error, Restored};
use slipway_job::{Record, cache};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::failure::{Failure, Result};
use crate::snapshot::{PARTS, Parts, Snapshot};
use crate::workers::Workers;

/// How often rank 0, while it looks, lets the others know that it lives. Far less than a collective operation may take.
const BEAT: Duration = Duration::from_secs(5);

/// What rank 0 has found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The right to write checkpoints; `None` if there is no place for them.
    pub(crate) attempt: Option<Attempt>,
    parts: Option<Parts>,
}

/// Begins to look for the newest checkpoint of a job, on a thread of its own. Waits for minutes while the store is away. A store that refuses costs
/// the checkpoints and nothing else.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn start(runtime: &Runtime, job: String) -> Result<Finding> {
    let (runtime, (tell, hear)) = (runtime.handle().clone(), oneshot::channel());
    // not a blocking task of the runtime, which would wait for it when this worker ends
    std::thread::Builder::new()
        .name("finding".to_owned())
        .spawn(move || drop(tell.send(runtime.block_on(find(&job)))))
        .map_err(|error| Failure::Unexpected(format!("starting the thread that looks for checkpoints: {error}")))?;
    Ok(hear)
}

/// What a search comes to.
pub(crate) type Finding = oneshot::Receiver<Result<Found>>;

async fn find(job: &str) -> Result<Found> {
    let Some(checkpoints) = Checkpoints::from_env(job).await.map_err(failure)? else {
        return Ok(Found::default());
    };
    match look(&checkpoints).await {
        Ok(found) => Ok(found),
        Err(Failed::Other(failure)) => Err(failure),
        Err(Failed::Checkpoint(error)) if error.is_refusal() => {
            tracing::warn!(
                event = "no_checkpoints",
                "training goes on without checkpoints, so a restart begins anew: {error}"
            );
            Ok(Found::default())
        }
        Err(Failed::Checkpoint(error)) => Err(failure(error)),
    }
}

enum Failed {
    Checkpoint(Error),
    Other(Failure),
}

async fn look(checkpoints: &Checkpoints) -> Result<Found, Failed> {
    let mut attempt = checkpoints.claim().await.map_err(Failed::Checkpoint)?;
    let restored = attempt.restore(&cache()).await.map_err(Failed::Checkpoint)?;
    let parts = match restored {
        None => None,
        Some(restored) => {
            let name = restored.name.clone();
            let reading = tokio::task::spawn_blocking(|| read(restored));
            let unreadable = |reason: String| Failed::Other(Failure::Unexpected(format!("reading {name}: {reason}")));
            let parts = reading.await.map_err(|error| unreadable(error.to_string()))?;
            let parts = parts.map_err(|error| unreadable(error.to_string()))?;
            // what is whole and of no use, such as one of another release, is said once, here
            match Snapshot::decode(&parts) {
                Ok(_) => Some(parts),
                Err(reason) => {
                    tracing::warn!(event = "checkpoint_set_aside", name, "training begins anew: {reason}");
                    None
                }
            }
        }
    };
    Ok(Found { attempt: Some(attempt), parts })
}

fn read(restored: Restored) -> std::io::Result<Parts> {
    let mut parts = Parts::default();
    for (name, mut file) in restored.shards {
        if let Some(at) = PARTS.iter().position(|part| *part == name) {
            file.read_to_end(&mut parts[at])?;
        }
    }
    Ok(parts)
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Store(error) => error.into(),
        // another attempt has more luck
        error @ Error::Busy { .. } => slipway_job::Failure::Service(error.to_string()).into(),
        other => Failure::Unexpected(other.to_string()),
    }
}

/// Waits until rank 0 has found what there is; the others know that it still looks.
pub(crate) fn wait(workers: &Workers, runtime: &Runtime, finding: Option<Finding>) -> Result<Found> {
    let Some(mut finding) = finding else {
        while workers.of_rank_0(0)? == 0 {}
        return Ok(Found::default());
    };
    loop {
        let found = runtime.block_on(async { tokio::time::timeout(BEAT, &mut finding).await });
        let Ok(found) = found else {
            workers.of_rank_0(0)?;
            continue;
        };
        // before the others are told, so that they fail with it
        let found = found.map_err(|error| Failure::Unexpected(format!("looking for checkpoints: {error}")))??;
        workers.of_rank_0(1)?;
        return Ok(found);
    }
}

impl Found {
    /// Gives every worker the snapshot that rank 0 has found, and what MLflow has of that training.
    pub(crate) fn share(&mut self, workers: &Workers) -> Result<Option<(Snapshot, Option<Record>)>> {
        let own = self.parts.take();
        if workers.of_rank_0(i64::from(own.is_some()))? == 0 {
            return Ok(None);
        }
        let mut parts = own.unwrap_or_default();
        for part in &mut parts {
            *part = workers.share(std::mem::take(part))?;
        }
        let found = Snapshot::decode(&parts)
            .map_err(|reason| Failure::Unexpected(format!("the checkpoint that rank 0 has sent: {reason}")))?;
        if workers.leads() {
            tracing::info!(event = "resumed", step = found.0.position.step, epoch = found.0.position.epoch);
        }
        Ok(Some(found))
    }
}
