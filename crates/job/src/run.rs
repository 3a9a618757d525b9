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
    /// The attempt that it belongs to: its [`Start::begun`].
    pub(crate) attempt: i64,
}

impl RunHandle {
    /// Sets the run's status and the reason, if MLflow answers in time and no later attempt has continued the run. Waits for a run that is being
    /// created.
    pub async fn end(&self, status: RunStatus, reason: &str) {
        let mut created = self.run.clone();
        let marked = tokio::time::timeout(MARKING, async {
            // the task that creates the run has failed, and has reported why
            let Ok(run) = created.wait_for(Option::is_some).await.map(|run| run.clone()) else { return Ok(()) };
            let Some(run) = run else { return Ok(()) };
            let found = self.client.get_run(&run.run_id).await?;
            if is_of_another(&found, self.attempt) {
                tracing::info!(event = "run_not_ended", run_id = run.run_id, "another attempt has continued it");
                return Ok(());
            }
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

/// Whether another attempt has made a run, or continues it.
fn is_of_another(run: &Run, attempt: i64) -> bool {
    run.tags.get(tag::ATTEMPT).is_some_and(|other| *other != attempt.to_string())
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
            match client.delete_tag(run_id, tag::FAILURE).await {
                // an earlier try was carried out, and its answer was lost
                Err(error) if error.is_not_found() => {}
                deleted => deleted?,
            }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_tag_says_whose_a_run_is() {
        let run = |attempt: Option<&str>| Run {
            run_id: "r".to_owned(),
            run_name: "job".to_owned(),
            experiment_id: "1".to_owned(),
            status: RunStatus::Running,
            start_time: Some(7),
            end_time: None,
            artifact_uri: String::new(),
            metrics: BTreeMap::new(),
            steps: BTreeMap::new(),
            params: BTreeMap::new(),
            tags: attempt.map(|attempt| (tag::ATTEMPT.to_owned(), attempt.to_owned())).into_iter().collect(),
        };
        let others = [Some("7"), Some("8"), None].map(|attempt| is_of_another(&run(attempt), 7));
        assert_eq!(others, [false, true, false]);
    }
}
