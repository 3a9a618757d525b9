//! What says that a pull request was opened for a version: a tag of its run, since the manager's account may write runs and no versions.

use slipway_cluster::Leadership;
use slipway_forge::Opened;
use slipway_mlflow::{Client, ModelVersion};
use slipway_service::must_lead;

use crate::error::Result;

/// The mark of a kind of pull request on a version.
pub(crate) struct Mark<'a> {
    mlflow: &'a Client,
    /// Without a run nothing is kept, and the newest pull requests alone are known.
    run: Option<&'a str>,
    tag: String,
}

impl<'a> Mark<'a> {
    pub(crate) fn of(mlflow: &'a Client, version: &'a ModelVersion, kind: &str, environment: &str) -> Self {
        let run = version.run_id.as_deref().filter(|run| !run.is_empty());
        Self { mlflow, run, tag: format!("{kind}.{environment}") }
    }

    pub(crate) async fn is_set(&self) -> Result<bool> {
        let Some(run) = self.run else { return Ok(false) };
        Ok(self.mlflow.get_run(run).await?.tags.get(&self.tag).is_some_and(|number| !number.is_empty()))
    }

    /// The number of the pull request that is kept; `None` if there is none.
    pub(crate) async fn number(&self) -> Result<Option<u64>> {
        let Some(run) = self.run else { return Ok(None) };
        Ok(self.mlflow.get_run(run).await?.tags.get(&self.tag).and_then(|number| number.parse().ok()))
    }

    /// Keeps that there is a pull request, unless that is kept already. Returns whether it is new.
    pub(crate) async fn set(&self, leadership: &Leadership, opened: &Opened) -> Result<bool> {
        let Some(run) = self.run else { return Ok(false) };
        if self.is_set().await? {
            return Ok(false);
        }
        must_lead(leadership)?;
        self.mlflow.set_tag(run, &self.tag, &opened.number.to_string()).await?;
        Ok(true)
    }

    /// Keeps that there is this pull request, in place of an earlier one.
    pub(crate) async fn replace(&self, leadership: &Leadership, opened: &Opened) -> Result<()> {
        let Some(run) = self.run else { return Ok(()) };
        if self.number().await? == Some(opened.number) {
            return Ok(());
        }
        must_lead(leadership)?;
        Ok(self.mlflow.set_tag(run, &self.tag, &opened.number.to_string()).await?)
    }
}
