//! Earlier attempts of the same TrainJob, as MLflow knows them.
//!
//! A TrainJob starts again after a disruption, and a new cluster that follows an old repository starts every TrainJob again. So each worker
//! asks MLflow before it does anything else, and ends if there is nothing left to do. The workers need not talk about it: all of them
//! start after the previous attempt has ended, so all of them get the same answer.

use std::time::Duration;

use slipway_experiment::Trial;
use slipway_mlflow::{Client, Error, ModelVersion, Run, RunStatus};
use tokio::time::Instant;

use crate::now_ms;

/// Why an earlier attempt's run was ended by a later one.
const KILLED: &str =
    "killed: its attempt ended without a word (out of memory, or its node was lost), and another one has begun";

/// The version and the runs of the earlier attempts.
#[derive(Debug)]
pub struct Attempts {
    version: Option<ModelVersion>,
    runs: Vec<Run>,
}

impl Attempts {
    /// Asks MLflow.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn look(client: &Client, trial: &Trial) -> Result<Self, Error> {
        let version = async {
            match &trial.register {
                Some(gate) => client.version_of_job(&gate.model, &trial.name).await,
                None => Ok(None),
            }
        };
        let (version, runs) = tokio::try_join!(version, client.runs_of_job(&trial.experiment, &trial.name))?;
        Ok(Self { version, runs })
    }

    /// What an earlier attempt has completed; `None` if this one has to train. A trial that its gate refused is complete as well.
    pub fn completed(&self) -> Option<String> {
        if let Some(version) = &self.version {
            return Some(format!("version {} of {} is registered", version.version, version.name));
        }
        let finished = self.runs.iter().find(|run| run.is_concluded())?;
        Some(format!("run {} is finished", finished.run_id))
    }

    /// Ends the runs that their attempts could not end. The run of a registered version is finished; every other one was killed.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn end_runs(&self, client: &Client) -> Result<(), Error> {
        let registered = self.version.as_ref().and_then(|version| version.run_id.as_deref());
        for run in self.runs.iter().filter(|run| run.is_open()) {
            if registered == Some(run.run_id.as_str()) {
                client.update_run(&run.run_id, RunStatus::Finished, now_ms()).await?;
            } else {
                kill(client, run, KILLED).await?;
            }
        }
        Ok(())
    }
}

/// Marks every run of a TrainJob that is still open as killed.
pub(crate) async fn kill_open_runs(client: &Client, experiment: &str, job: &str) -> Result<(), Error> {
    for run in client.runs_of_job(experiment, job).await?.iter().filter(|run| run.is_open()) {
        kill(client, run, KILLED).await?;
    }
    Ok(())
}

/// Marks a run as killed, with the reason.
pub(crate) async fn kill(client: &Client, run: &Run, reason: &str) -> Result<(), Error> {
    tracing::info!(event = "run_killed", run_id = run.run_id, reason);
    client.end_unfinished_run(&run.run_id, RunStatus::Killed, reason, now_ms()).await
}

/// The first pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a step is tried: as long as each of its requests.
const BUDGET: Duration = Duration::from_secs(12 * 60);

/// Repeats a step that creates something, if MLflow was lost before it answered.
///
/// The client itself does not repeat such a request, because nobody knows whether it was carried out. `step` must find out, or leave
/// at worst something that nothing refers to. It hears whether it is repeated.
///
/// # Errors
/// The last one of the step.
pub async fn until_answered<T, F>(step: impl Fn(bool) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let begun = Instant::now();
    let (mut pause, mut is_repeated) = (PAUSE, false);
    loop {
        match step(is_repeated).await {
            Err(error) if error.is_unavailable() && begun.elapsed() + pause < BUDGET => {
                tracing::warn!(event = "trying_again", seconds = pause.as_secs(), "{error}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                is_repeated = true;
            }
            done => return done,
        }
    }
}
