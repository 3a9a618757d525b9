//! The run of an attempt: created, or continued from an earlier attempt, and ended if it does not finish by itself.

use std::time::Duration;

use slipway_mlflow::{Client, Error, Run, RunStatus, Tag};
use slipway_names::tag;
use tokio::sync::watch;

use crate::attempts::kill_open_runs;
use crate::now_ms;
use crate::recorder::Start;

/// How long marking a failed run may take; the reason is already in the log.
const MARKING: Duration = Duration::from_secs(10);

/// Ends a run that did not finish by itself.
#[derive(Clone, Debug)]
pub struct RunHandle {
    pub(crate) client: Client,
    pub(crate) run: watch::Receiver<Option<Run>>,
}

impl RunHandle {
    /// Sets the run's status and the reason, if MLflow answers in time. Waits for a run that is being created.
    pub async fn end(&self, status: RunStatus, reason: &str) {
        let mut created = self.run.clone();
        let marked = tokio::time::timeout(MARKING, async {
            // the task that creates the run has failed, and has reported why
            let Ok(run) = created.wait_for(Option::is_some).await.map(|run| run.clone()) else { return Ok(()) };
            let Some(run) = run else { return Ok(()) };
            self.client.end_unfinished_run(&run.run_id, status, reason, now_ms()).await
        });
        match marked.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(event = "run_not_ended", "{error}"),
            Err(_) => {
                tracing::warn!(event = "run_not_ended", "MLflow did not answer within {} s", MARKING.as_secs())
            }
        }
    }
}

/// Creates the run. `is_repeated` says that an earlier try may have succeeded.
pub(crate) async fn create(client: &Client, start: &Start, is_repeated: bool) -> Result<Run, Error> {
    let experiment = client.get_or_create_experiment(&start.experiment).await?;
    if is_repeated {
        // a run may have been created whose id never arrived
        kill_open_runs(client, &start.experiment, &start.name).await?;
    }
    let mut tags = start.tags.clone();
    tags.push(Tag::new(tag::ATTEMPT, start.begun.to_string()));
    client.create_run(&experiment, &start.name, &tags, start.begun).await
}

/// Makes the run of an earlier attempt this one's; `None` if MLflow does not have it any more, or it is not a run of this job that has
/// something left to do.
pub(crate) async fn reopen(client: &Client, start: &Start, run_id: &str) -> Result<Option<Run>, Error> {
    let reopened = async {
        let run = client.get_run(run_id).await?;
        let is_of_this_job = run.tags.get(tag::TRAINJOB).is_some_and(|job| *job == start.name);
        if !is_of_this_job || run.is_concluded() {
            return Ok(None);
        }
        // whose it is comes first, so that nobody who ends an earlier attempt's run ends it now
        client.set_tag(run_id, tag::ATTEMPT, &start.begun.to_string()).await?;
        client.reopen_run(run_id).await?;
        if run.tags.contains_key(tag::FAILURE) {
            client.delete_tag(run_id, tag::FAILURE).await?;
        }
        Ok(Some(run))
    };
    match reopened.await {
        Err(error @ Error::Refused { .. }) => {
            tracing::warn!(event = "run_not_continued", run_id, "another run is created: {error}");
            Ok(None)
        }
        reopened => reopened,
    }
}
