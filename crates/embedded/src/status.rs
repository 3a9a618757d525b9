//! A job's status as Kubeflow Trainer records it, kept in `jobs/<name>/status.yaml`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{Error, Result, files};

/// The state of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// The status in one word.
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

/// The status of a job in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It waits for CPUs.
    Pending,
    /// Its workers are running.
    Running,
    /// All workers succeeded.
    Complete,
    /// A worker failed, the deadline passed, or the file cannot be run.
    Failed,
    /// Its file was removed from main before it had finished.
    Cancelled,
}

/// One condition, as Kubernetes writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Complete`, `Failed`, `Cancelled` or `Suspended`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True` or `False`.
    pub status: String,
    /// The reason in one word, for programs.
    pub reason: String,
    /// The reason in a sentence, for a person.
    pub message: String,
    /// When `status` last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub last_transition_time: OffsetDateTime,
}

/// Trainer's `jobsStatus` entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildJobs {
    /// Its name: `node`.
    pub name: String,
    /// Child Jobs whose pods are all ready or done.
    pub ready: u32,
    /// Child Jobs that succeeded.
    pub succeeded: u32,
    /// Child Jobs that failed.
    pub failed: u32,
    /// Child Jobs with a running pod.
    pub active: u32,
    /// Child Jobs that are suspended.
    pub suspended: u32,
}

impl JobStatus {
    /// Reads `status.yaml` in a job's folder; `None` if the job has no status yet.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid.
    pub fn read(job: &Path) -> Result<Option<Self>> {
        let path = job.join("status.yaml");
        // A power cut can leave an empty file where a status that is not final was written: the job was not finished.
        let Some(text) = files::read_if_there(&path)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        serde_saphyr::from_str(&text).map(Some).map_err(|error| Error::Malformed { path, reason: error.to_string() })
    }

    /// Writes `status.yaml` in a job's folder. A final status survives a power cut, since a finished job must never run again.
    pub(crate) fn write(&self, job: &Path) -> Result<()> {
        let path = job.join("status.yaml");
        let text = serde_saphyr::to_string(self)
            .map_err(|error| Error::Malformed { path: path.clone(), reason: error.to_string() })?;
        let write = if self.is_finished() { files::write_durably } else { files::write };
        write(&path, text.as_bytes())
    }

    /// Whether it no longer changes.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Complete | Phase::Failed)
    }

    /// Seconds from its start to its end, or to now; `None` before the start.
    pub fn seconds(&self) -> Option<f64> {
        let end = self.completion_time.unwrap_or_else(OffsetDateTime::now_utc);
        Some((end - self.start_time?).as_seconds_f64())
    }

    /// The message of its last condition: how it ended, or why it waits. Empty while it runs.
    pub fn message(&self) -> &str {
        self.conditions.last().map_or("", |condition| condition.message.as_str())
    }

    pub(crate) fn pending() -> Self {
        Self {
            phase: Phase::Pending,
            conditions: vec![condition("Suspended", "WaitingForCPU", "waiting for free CPUs")],
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
