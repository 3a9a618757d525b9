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
/// What runs the model: `builtin`, `torchscript` or `aotinductor`. Versions of earlier releases do not have it; they are built-in networks.
pub const ENGINE: &str = "slipway.engine";
/// The flavour of a version that no server runs, such as `sklearn`.
pub const FLAVOR: &str = "slipway.flavor";
/// The network, such as `cnn`.
pub const ARCHITECTURE: &str = "slipway.architecture";
/// The git tree of the program's code.
pub const PROGRAM_TREE: &str = "slipway.program-tree";
/// Why no server can run a version.
pub const UNSERVABLE: &str = "slipway.unservable";
/// Accuracy on the test split, from 0 to 1.
pub const ACCURACY: &str = "slipway.accuracy";
/// What a version of a program is compared by if that is not its accuracy: a JSON object `{"metric": …, "value": …, "moreIsBetter": …}`.
pub const COMPARED_BY: &str = "slipway.compared-by";
/// Whether the gate was passed: `passed`, `refused`, or `none` if the experiment registers nothing.
pub const GATE: &str = "slipway.gate";
/// The bounds that a refused run did not meet: a JSON array of `{"metric": …, "value": …, "bound": …}`.
pub const GATE_UNMET: &str = "slipway.gate-unmet";
/// When the attempt began that writes a run, in milliseconds since 1970. An attempt that goes on from a checkpoint continues the run.
pub const ATTEMPT: &str = "slipway.attempt";
/// Why a run failed.
pub const FAILURE: &str = "slipway.failure";
/// Training's speed, in images a second.
pub const IMAGES_PER_SECOND: &str = "slipway.images-per-second";
/// Training's duration, in seconds.
pub const SECONDS: &str = "slipway.seconds";
/// Of a run, with an environment's name after a dot: the number of the pull request that was to put its version into service there.
pub const PROMOTION: &str = "slipway.promotion";
/// Of a version, with an environment's name after a dot: the number of the pull request that was to end its trial there.
pub const TRIAL: &str = "slipway.trial";
