//! A job's status as Kubeflow Trainer records it, kept in `jobs/<name>/status.yaml`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::trainer_status::TrainerStatus;
use crate::worker_status::{WorkerEnd, WorkerStatus};
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
    /// How often its workers were started again, all of them: because one had failed, or because the loop itself had ended.
    #[serde(default)]
    pub restarts: u32,
    /// How many of these restarts are because of a worker that had failed.
    #[serde(default)]
    pub failures: u32,
    /// When its file came to main; `None` in what an older version wrote.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub created: Option<OffsetDateTime>,
    /// Its workers by rank; empty until it is its turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<WorkerStatus>,
    /// How far its training is, as its workers said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trainer_status: Option<TrainerStatus>,
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
            failures: 0,
            created: Some(OffsetDateTime::now_utc()),
            workers: vec![],
            trainer_status: None,
        }
    }

    /// Its turn has come: what its workers need is prepared, and then they start.
    pub(crate) fn running(self, workers: u32) -> Self {
        Self {
            phase: Phase::Running,
            conditions: vec![],
            jobs_status: vec![ChildJobs { active: 1, ..child_jobs() }],
            start_time: Some(OffsetDateTime::now_utc()),
            completion_time: None,
            workers: (0..workers).map(|_| WorkerStatus::default()).collect(),
            ..self
        }
    }

    /// A worker has failed, and all of them start again: as in a cluster, in other pods.
    pub(crate) fn restarted(&mut self) {
        self.restarts += 1;
        self.failures += 1;
        self.workers.fill_with(WorkerStatus::default);
        self.count_ready();
    }

    /// A worker was started, for the first time or again.
    pub(crate) fn worker_started(&mut self, rank: u32) {
        if let Some(worker) = self.workers.get_mut(rank as usize) {
            let restarts = worker.restarts + u32::from(worker.started.is_some());
            *worker = WorkerStatus { started: Some(OffsetDateTime::now_utc()), ended: None, restarts };
        }
        self.count_ready();
    }

    /// A worker has ended.
    pub(crate) fn worker_ended(&mut self, rank: u32, end: WorkerEnd) {
        if let Some(worker) = self.workers.get_mut(rank as usize) {
            worker.ended = Some(end);
        }
        self.count_ready();
    }

    /// A child Job is ready if each of its pods is ready or has succeeded.
    fn count_ready(&mut self) {
        let ready = self.phase == Phase::Running && self.workers.iter().all(WorkerStatus::is_ready_or_done);
        for counts in &mut self.jobs_status {
            counts.ready = u32::from(ready);
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
    fn workers_are_ready_once_all_have_started() {
        let mut status = JobStatus::pending().running(2);
        let ready = |status: &JobStatus| status.jobs_status[0].ready;
        assert_eq!(ready(&status), 0);
        status.worker_started(0);
        assert_eq!(ready(&status), 0);
        status.worker_started(1);
        assert_eq!((ready(&status), status.workers[1].restarts), (1, 0));
        status.worker_ended(0, WorkerEnd::of_code(0));
        assert_eq!(ready(&status), 1, "one that has succeeded counts");
        status.worker_ended(1, WorkerEnd::of_code(1));
        assert_eq!(ready(&status), 0);
        status.worker_started(1);
        assert_eq!((ready(&status), status.workers[1].restarts), (1, 1));
        // there is no such worker
        status.worker_started(2);
        assert_eq!(status.workers.len(), 2);
        status.restarted();
        assert_eq!((ready(&status), status.restarts, status.failures), (0, 1, 1));
        assert_eq!(status.workers, [WorkerStatus::default(), WorkerStatus::default()]);
    }

    /// A status with everything that it may have.
    fn with_workers(message: &str) -> JobStatus {
        let mut status = JobStatus::pending().running(2);
        status.worker_started(0);
        status.worker_ended(0, WorkerEnd { message: message.to_owned(), ..WorkerEnd::of_code(3) });
        let metrics = r#"[{"name": "a", "value": "0.5"}]"#;
        let report = format!(
            r#"{{"trainerStatus": {{"progressPercentage": 7, "metrics": {metrics}, "lastUpdatedTime": "2026-11-24T09:00:00Z"}}}}"#
        );
        JobStatus { trainer_status: Some(TrainerStatus::of_report(report.as_bytes()).unwrap()), ..status }
    }

    #[test]
    fn a_status_is_read_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(JobStatus::read(folder.path()).unwrap(), None);
        let hostile = "worker 1: exit code 3\n{\"a\": \"b\"} # - 'x'\n\ttab: \u{1b}[0m";
        for status in [
            JobStatus::pending(),
            JobStatus { restarts: 2, failures: 1, ..JobStatus::pending() }.running(2),
            JobStatus::pending().running(1).complete(),
            JobStatus::pending().running(1).failed("FailedJobs", hostile),
            with_workers(hostile),
            JobStatus::pending().cancelled(),
        ] {
            status.write(folder.path()).unwrap();
            assert_eq!(JobStatus::read(folder.path()).unwrap(), Some(status));
        }
    }
}
