//! A view of the jobs, for whoever waits for one.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::status::{JobStatus, Phase};
use crate::{Error, Result};

/// The status of every job that main has named since the loop started.
#[derive(Clone, Debug)]
pub struct Jobs(watch::Receiver<BTreeMap<String, JobStatus>>);

impl Jobs {
    pub(crate) fn new(statuses: watch::Receiver<BTreeMap<String, JobStatus>>) -> Self {
        Self(statuses)
    }

    /// All jobs by name.
    pub fn all(&self) -> BTreeMap<String, JobStatus> {
        self.0.borrow().clone()
    }

    /// Returns when a job meets the condition; the job need not be on main yet.
    ///
    /// # Errors
    /// When the job queue ends first.
    pub async fn until(&self, name: &str, condition: impl Fn(&JobStatus) -> bool) -> Result<JobStatus> {
        let mut receiver = self.0.clone();
        let seen = receiver.wait_for(|jobs| jobs.get(name).is_some_and(&condition)).await;
        seen.ok().and_then(|jobs| jobs.get(name).cloned()).ok_or_else(|| Error::QueueEnded { job: name.to_owned() })
    }

    /// Returns the job's status once it no longer changes.
    ///
    /// # Errors
    /// When the job queue ends first.
    pub async fn finished(&self, name: &str) -> Result<JobStatus> {
        self.until(name, |status| status.is_finished() || status.phase == Phase::Cancelled).await
    }
}
