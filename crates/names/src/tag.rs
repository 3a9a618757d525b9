//! Tags of runs and of model versions in the registry.

/// The name of the TrainJob.
pub const TRAINJOB: &str = "slipway.trainjob";
/// The experiment's file, relative to the repository's root.
pub const EXPERIMENT_FILE: &str = "slipway.experiment-file";
/// The content of the experiment's file: the id of its blob in git.
pub const EXPERIMENT_BLOB: &str = "slipway.experiment-blob";
/// The commit that holds the experiment, of runs and versions whose TrainJob does not name the content itself.
pub const COMMIT: &str = "slipway.commit";
/// The dataset's name.
pub const DATASET: &str = "slipway.dataset";
/// The digest of the dataset's content.
pub const DATASET_DIGEST: &str = "slipway.dataset-digest";
/// The digest of the model's content.
pub const DIGEST: &str = "slipway.digest";
/// The network, such as `cnn`.
pub const ARCHITECTURE: &str = "slipway.architecture";
/// Accuracy on the test split, from 0 to 1.
pub const ACCURACY: &str = "slipway.accuracy";
/// Whether the gate was passed: `passed` or `failed`.
pub const GATE: &str = "slipway.gate";
/// Why the gate was not passed.
pub const GATE_REASON: &str = "slipway.gate-reason";
/// Why a run failed.
pub const FAILURE: &str = "slipway.failure";
/// Training's speed, in images a second.
pub const IMAGES_PER_SECOND: &str = "slipway.images-per-second";
/// Training's duration, in seconds.
pub const SECONDS: &str = "slipway.seconds";
