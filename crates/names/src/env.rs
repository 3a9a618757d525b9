//! Environment variables that one program sets and another reads.

/// A trial as JSON: what a worker trains.
pub const TRIAL: &str = "SLIPWAY_TRIAL";
/// The content of the trial's experiment file: the id of its blob in git.
pub const EXPERIMENT_BLOB: &str = "SLIPWAY_EXPERIMENT_BLOB";
/// The code of the trial's program, `trainers/<name>/`: the id of its tree in git.
pub const PROGRAM_TREE: &str = "SLIPWAY_PROGRAM_TREE";
/// The commit that holds the trial's experiment, in TrainJobs that were rendered before they named its content.
pub const COMMIT: &str = "SLIPWAY_COMMIT";
/// The file of that experiment, relative to the repository's root.
pub const EXPERIMENT_FILE: &str = "SLIPWAY_EXPERIMENT_FILE";
/// The parameters of a program as a JSON object; the launcher sets it for the program.
pub const PARAMETERS: &str = "SLIPWAY_PARAMETERS";
/// Where datasets are stored: `s3://<bucket>`.
pub const DATASETS: &str = "SLIPWAY_DATASETS";
/// A folder for verified downloads.
pub const CACHE: &str = "SLIPWAY_CACHE";
/// The folder of a program's code.
pub const PROGRAM: &str = "SLIPWAY_PROGRAM";
/// Where a program finds the files of its dataset.
pub const DATA: &str = "SLIPWAY_DATA";
/// Where a program may put the files of a model.
pub const OUTPUT: &str = "SLIPWAY_OUTPUT";
/// A descriptor that takes a program's progress, as lines of JSON.
pub const PROGRESS_FD: &str = "SLIPWAY_PROGRESS_FD";
/// The seconds between SIGTERM and SIGKILL, for a server's requests and for a program.
pub const GRACE_SECONDS: &str = "SLIPWAY_GRACE_SECONDS";
/// The file that lists the versions in service.
pub const MODELS: &str = "SLIPWAY_MODELS";
/// The address at which the server answers for versions in service.
pub const LISTEN: &str = "SLIPWAY_LISTEN";
/// The address at which the server answers for every registered version.
pub const LISTEN_INTERNAL: &str = "SLIPWAY_LISTEN_INTERNAL";
/// The server's address, for the page.
pub const SERVER_URL: &str = "SLIPWAY_SERVER_URL";
/// The bare repository of the loop on one machine, for the page.
pub const FORGE: &str = "SLIPWAY_FORGE";
/// The id of the GitHub App that opens pull requests.
pub const GITHUB_APP_ID: &str = "SLIPWAY_GITHUB_APP_ID";
/// The app's private key, in PEM format.
pub const GITHUB_APP_PRIVATE_KEY: &str = "SLIPWAY_GITHUB_APP_PRIVATE_KEY";
/// A file with the app's private key.
pub const GITHUB_APP_PRIVATE_KEY_FILE: &str = "SLIPWAY_GITHUB_APP_PRIVATE_KEY_FILE";

/// MLflow's address; the name is MLflow's.
pub const MLFLOW_TRACKING_URI: &str = "MLFLOW_TRACKING_URI";
/// MLflow's user; the name is MLflow's.
pub const MLFLOW_TRACKING_USERNAME: &str = "MLFLOW_TRACKING_USERNAME";
/// The password of MLflow's user; the name is MLflow's.
pub const MLFLOW_TRACKING_PASSWORD: &str = "MLFLOW_TRACKING_PASSWORD";
/// A token instead of user and password; the name is MLflow's.
pub const MLFLOW_TRACKING_TOKEN: &str = "MLFLOW_TRACKING_TOKEN";

/// The number of nodes; Kubeflow Trainer sets it, as torchrun names it.
pub const PET_NNODES: &str = "PET_NNODES";
/// The number of processes on each node; Kubeflow Trainer sets it.
pub const PET_NPROC_PER_NODE: &str = "PET_NPROC_PER_NODE";
/// This node's rank, from 0; Kubeflow Trainer sets it.
pub const PET_NODE_RANK: &str = "PET_NODE_RANK";
/// The host of rank 0; Kubeflow Trainer sets it.
pub const PET_MASTER_ADDR: &str = "PET_MASTER_ADDR";
/// The port on that host; Kubeflow Trainer sets it.
pub const PET_MASTER_PORT: &str = "PET_MASTER_PORT";
