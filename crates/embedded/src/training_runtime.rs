//! What every worker on this machine runs with: the local counterpart of the cluster's ClusterTrainingRuntime.

use std::path::PathBuf;

use crate::{StatusServer, Supervisor, Trainers};

/// As `maxRestarts` in `base/trainer-runtime`.
pub(crate) const MAX_RESTARTS: u32 = 3;

/// What every worker on this machine runs with.
#[derive(Clone, Debug)]
pub struct TrainingRuntime {
    /// How to run workers.
    pub supervisor: Supervisor,
    /// The program that `slipway-trainer` stands for.
    pub trainer: PathBuf,
    /// The program that `slipway-launch` stands for.
    pub launcher: PathBuf,
    /// Where the code and the packages of other programs come from.
    pub trainers: Trainers,
    /// Environment variables of every worker: where MLflow and S3 are.
    pub environment: Vec<(String, String)>,
    /// Where workers say how far they are; nowhere for `None`.
    pub status_server: Option<StatusServer>,
    /// The folder that holds a folder for each job.
    pub jobs: PathBuf,
    /// The folder in which the S3 endpoint keeps a folder of checkpoints for each job; nowhere for `None`.
    pub checkpoints: Option<PathBuf>,
    /// CPUs to share between jobs, in thousandths.
    pub cpu_millis: u64,
    /// How often all workers of a job start again after one of them has failed.
    pub max_restarts: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_starts_again_as_often_as_in_a_cluster() {
        let runtime = include_str!("../../../base/trainer-runtime/runtime.yaml");
        assert!(runtime.contains(&format!("maxRestarts: {MAX_RESTARTS}\n")));
    }
}
