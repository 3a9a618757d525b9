//! How far a worker of a job is, as the status of a pod's container says it.

use serde::{Deserialize, Serialize};
use slipway_names::exit;
use time::OffsetDateTime;

/// How far a worker is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStatus {
    /// When it was started last; `None` while what it needs is prepared.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub started: Option<OffsetDateTime>,
    /// How it ended; `None` while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<WorkerEnd>,
    /// How often it was started again in the same pod, because another program had taken the port of rank 0.
    #[serde(default)]
    pub restarts: u32,
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerEnd {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Its exit code; 128 + n for signal n.
    pub exit_code: i32,
    /// The last lines of its log if it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl WorkerStatus {
    /// Whether it runs or has succeeded.
    pub(crate) fn is_ready_or_done(&self) -> bool {
        self.started.is_some() && self.ended.as_ref().is_none_or(|end| end.exit_code == 0)
    }
}

impl WorkerEnd {
    /// An end just now, with this exit code.
    pub(crate) fn of_code(exit_code: i32) -> Self {
        Self { at: OffsetDateTime::now_utc(), exit_code, message: String::new() }
    }

    /// An end just now, from outside: it got SIGTERM.
    pub(crate) fn stopped() -> Self {
        Self::of_code(exit::TERMINATED.into())
    }
}
