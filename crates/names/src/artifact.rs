//! Artifacts of runs.

/// The folder with the logs of a run's workers.
pub const LOGS: &str = "logs";
