//! The runs in MLflow of a job whose workers could not end them, because they were killed.

use std::time::Duration;

use slipway_experiment::TrainJob;
use slipway_mlflow::{Client, Error, Retry, RunStatus};
use slipway_names::env;
use time::OffsetDateTime;

use crate::training_runtime::TrainingRuntime;
use crate::workers::Outcome;

/// How long a job's end may wait for MLflow.
const LIMIT: Duration = Duration::from_secs(10);
/// MLflow is a child of this loop: if it does not answer, it is not about to.
const RETRY: Retry = Retry::at_most(2).pausing(Duration::from_millis(100), Duration::from_millis(100));
/// The length of a tag that MLflow keeps whole.
const TAG_LENGTH: usize = 5000;

/// Ends what is still open once none of the job's workers is left. A reason that a worker gave is kept.
pub(crate) async fn end(job: &TrainJob, runtime: &TrainingRuntime, outcome: &Outcome) {
    let (status, reason) = match outcome {
        Outcome::Complete => return,
        Outcome::Failed { message, .. } => (RunStatus::Failed, message.chars().take(TAG_LENGTH).collect()),
        Outcome::Stopped => (RunStatus::Killed, "stopped from outside, and killed because it did not end".to_owned()),
    };
    let name = &job.name;
    match tokio::time::timeout(LIMIT, end_runs(job, runtime, status, &reason)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("runs of {name} may stay open: {error}"),
        Err(_) => tracing::warn!("runs of {name} may stay open: MLflow did not answer within {} s", LIMIT.as_secs()),
    }
}

async fn end_runs(job: &TrainJob, runtime: &TrainingRuntime, status: RunStatus, reason: &str) -> Result<(), Error> {
    let mlflow = runtime.environment.iter().find(|(name, _)| name == env::MLFLOW_TRACKING_URI);
    let (Some((_, mlflow)), Some(experiment)) = (mlflow, job.experiment()) else { return Ok(()) };
    let client = Client::new(mlflow)?.with_retry(RETRY);
    // it was killed between its last two calls
    let version = match job.trial().ok().flatten().and_then(|trial| trial.register) {
        Some(gate) => client.version_of_job(&gate.model, &job.name).await?,
        None => None,
    };
    let registered = version.and_then(|version| version.run_id);
    for run in client.runs_of_job(experiment, &job.name).await?.iter().filter(|run| run.is_open()) {
        let now = (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64;
        if registered.as_ref() == Some(&run.run_id) {
            client.update_run(&run.run_id, RunStatus::Finished, now).await?;
        } else {
            client.end_unfinished_run(&run.run_id, status, reason, now).await?;
        }
    }
    Ok(())
}
