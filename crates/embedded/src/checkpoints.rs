//! The checkpoints of a job that no attempt follows: its workers could not remove them if they were killed, or failed once too often.

use std::io::ErrorKind;

use slipway_experiment::TrainJob;

use crate::training_runtime::TrainingRuntime;
use crate::workers::Outcome;

/// Removes them, unless the job was stopped: then it may start again. One that has failed, by its deadline too, never does. The endpoint's own notes
/// about the objects, which are small files beside the buckets, stay.
pub(crate) async fn remove(job: &TrainJob, runtime: &TrainingRuntime, outcome: &Outcome) {
    let Some(folder) = runtime.checkpoints.as_ref().filter(|_| !matches!(outcome, Outcome::Stopped)) else { return };
    // the S3 endpoint of this process keeps objects as files, and nothing of the job is left that could write
    let folder = folder.join(&job.name);
    match tokio::fs::remove_dir_all(&folder).await {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!("checkpoints that nobody needs stay in {}: {error}", folder.display());
        }
        _ => {}
    }
}
