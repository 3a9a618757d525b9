//! Annotations of Kubernetes objects.

/// The commit that holds the experiment of a TrainJob.
pub const COMMIT: &str = "slipway.dev/commit";

/// The file of that experiment, relative to the repository's root.
pub const EXPERIMENT_FILE: &str = "slipway.dev/experiment-file";

/// The environment that a cluster follows.
pub const ENVIRONMENT: &str = "slipway.dev/environment";
