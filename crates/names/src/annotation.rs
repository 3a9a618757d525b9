//! Annotations of Kubernetes objects.

/// The content of a TrainJob's experiment file: the id of its blob in git, 40 hex digits.
pub const EXPERIMENT_BLOB: &str = "slipway.dev/experiment-blob";

/// The commit that holds the experiment of a TrainJob, in files that were rendered before they named the content itself.
pub const COMMIT: &str = "slipway.dev/commit";

/// The code of a TrainJob's program, `trainers/<name>/`: the id of its tree in git, 40 hex digits.
pub const PROGRAM_TREE: &str = "slipway.dev/program-tree";

/// The file of that experiment, relative to the repository's root.
pub const EXPERIMENT_FILE: &str = "slipway.dev/experiment-file";

/// The environment that a cluster follows.
pub const ENVIRONMENT: &str = "slipway.dev/environment";
