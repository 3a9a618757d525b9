//! The runs and the version of one TrainJob, and how runs end that cannot end themselves.

use slipway_names::tag;

use crate::{Client, ModelVersion, Result, Run, RunStatus};

impl Client {
    /// Every run of a TrainJob in an experiment, from all of its attempts; none if there is no such experiment.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn runs_of_job(&self, experiment: &str, job: &str) -> Result<Vec<Run>> {
        let Some(id) = self.get_experiment(experiment).await? else { return Ok(Vec::new()) };
        self.search_runs(&[&id], &format!("tags.\"{}\" = '{job}'", tag::TRAINJOB), &[]).await
    }

    /// The version of a model that a TrainJob has registered, if any; a job registers only once.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn version_of_job(&self, model: &str, job: &str) -> Result<Option<ModelVersion>> {
        let versions = self.search_model_versions(model).await?;
        Ok(versions.into_iter().find(|version| version.status == "READY" && version.tag(tag::TRAINJOB) == job))
    }

    /// Ends a run that did not finish: its status, its end (milliseconds since 1970), and the reason as a tag.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn end_unfinished_run(&self, run_id: &str, status: RunStatus, reason: &str, end_time: i64) -> Result<()> {
        self.set_tag(run_id, tag::FAILURE, reason).await?;
        self.update_run(run_id, status, end_time).await
    }
}

impl Run {
    /// Whether its attempt got to its end, gate and all. A program of one's own finishes its run itself, before anybody has looked at its
    /// metrics; only the gate's tag says that the rest was done.
    #[must_use]
    pub fn is_concluded(&self) -> bool {
        self.status == RunStatus::Finished && self.tags.contains_key(tag::GATE)
    }

    /// Whether its attempt has not said yet how it ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.status {
            RunStatus::Running | RunStatus::Scheduled => true,
            RunStatus::Finished => !self.is_concluded(),
            RunStatus::Failed | RunStatus::Killed => false,
        }
    }
}
