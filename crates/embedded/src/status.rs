//! A job's status as Kubeflow Trainer records it, kept in `jobs/<name>/status.yaml`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Error, Result, files};

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// In short.
    pub phase: Phase,
    /// Trainer's conditions: `Complete` and `Failed`, with JobSet's reasons. `Suspended` while it waits for CPUs.
    pub conditions: Vec<Condition>,
    /// Trainer's count of child Jobs: one, `node`.
    pub jobs_status: Vec<ChildJobs>,
    /// When its workers were first started.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub start_time: Option<OffsetDateTime>,
    /// When the last of them ended.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<OffsetDateTime>,
    /// How often it was started again because the loop itself had ended.
    #[serde(default)]
    pub restarts: u32,
}

/// A job's status in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Waits for CPUs.
    Pending,
    /// Its workers run.
    Running,
    /// All workers ended well.
    Complete,
    /// A worker did not, or the deadline passed, or the file cannot be run.
    Failed,
    /// Its file was removed from main before it had finished.
    Cancelled,
}

/// One condition, as Kubernetes writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Complete`, `Failed`, `Suspended`
    #[serde(rename = "type")]
    pub kind: String,
    /// `True` or `False`
    pub status: String,
    /// One word.
    pub reason: String,
    /// For a person.
    pub message: String,
    /// When it became so.
    #[serde(with = "time::serde::rfc3339")]
    pub last_transition_time: OffsetDateTime,
}

/// Trainer's `jobsStatus` entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildJobs {
    /// `node`
    pub name: String,
    /// Child Jobs whose pods are all ready or done.
    pub ready: u32,
    /// Child Jobs that ended well.
    pub succeeded: u32,
    /// Child Jobs that failed.
    pub failed: u32,
    /// Child Jobs with a pod that runs.
    pub active: u32,
    /// Child Jobs that are held back.
    pub suspended: u32,
}

impl JobStatus {
    /// Reads `status.yaml` in a job's folder; none when the job has no status yet.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn read(job: &Path) -> Result<Option<Self>> {
        let path = job.join("status.yaml");
        let Some(text) = files::read_if_there(&path)? else { return Ok(None) };
        serde_saphyr::from_str(&text).map(Some).map_err(|error| Error::Malformed { path, reason: error.to_string() })
    }

    pub(crate) fn write(&self, job: &Path) -> Result<()> {
        let path = job.join("status.yaml");
        let text = serde_saphyr::to_string(self)
            .map_err(|error| Error::Malformed { path: path.clone(), reason: error.to_string() })?;
        files::write(&path, text.as_bytes())
    }

    /// Whether it will not change any more.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Complete | Phase::Failed)
    }

    /// From its start to its end, or to now; none before the start.
    pub fn seconds(&self) -> Option<f64> {
        let end = self.completion_time.unwrap_or_else(OffsetDateTime::now_utc);
        Some((end - self.start_time?).as_seconds_f64())
    }

    /// The message of the condition that says how it ended; empty before.
    pub fn message(&self) -> &str {
        self.conditions.last().map_or("", |condition| condition.message.as_str())
    }

    pub(crate) fn pending() -> Self {
        Self {
            phase: Phase::Pending,
            conditions: vec![condition("Suspended", "WaitingForCPU", "waits until enough CPUs are free")],
            jobs_status: vec![ChildJobs { suspended: 1, ..child_jobs() }],
            start_time: None,
            completion_time: None,
            restarts: 0,
        }
    }

    pub(crate) fn running(restarts: u32) -> Self {
        Self {
            phase: Phase::Running,
            conditions: vec![],
            jobs_status: vec![ChildJobs { ready: 1, active: 1, ..child_jobs() }],
            start_time: Some(OffsetDateTime::now_utc()),
            completion_time: None,
            restarts,
        }
    }

    pub(crate) fn complete(self) -> Self {
        let condition = condition("Complete", "AllJobsCompleted", "jobset completed successfully");
        self.ended(Phase::Complete, condition, ChildJobs { succeeded: 1, ..child_jobs() })
    }

    pub(crate) fn failed(self, reason: &str, message: &str) -> Self {
        self.ended(Phase::Failed, condition("Failed", reason, message), ChildJobs { failed: 1, ..child_jobs() })
    }

    pub(crate) fn cancelled(self) -> Self {
        let condition = condition("Cancelled", "FileRemoved", "its file was removed from main");
        self.ended(Phase::Cancelled, condition, child_jobs())
    }

    fn ended(self, phase: Phase, condition: Condition, counts: ChildJobs) -> Self {
        Self {
            phase,
            completion_time: Some(condition.last_transition_time),
            conditions: vec![condition],
            jobs_status: vec![counts],
            ..self
        }
    }
}

fn condition(kind: &str, reason: &str, message: &str) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status: "True".to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: OffsetDateTime::now_utc(),
    }
}

fn child_jobs() -> ChildJobs {
    ChildJobs { name: "node".to_owned(), ready: 0, succeeded: 0, failed: 0, active: 0, suspended: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(JobStatus::read(folder.path()).unwrap(), None);
        let hostile = "worker 1: exit code 3\n{\"a\": \"b\"} # - 'x'\n\ttab: \u{1b}[0m";
        for status in [
            JobStatus::pending(),
            JobStatus::running(2),
            JobStatus::running(0).complete(),
            JobStatus::running(0).failed("FailedJobs", hostile),
            JobStatus::pending().cancelled(),
        ] {
            status.write(folder.path()).unwrap();
            assert_eq!(JobStatus::read(folder.path()).unwrap(), Some(status));
        }
    }
}
