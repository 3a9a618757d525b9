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
/// Where checkpoints are stored: `s3://<bucket>` or `s3://<bucket>/<folder>`.
pub const CHECKPOINT_STORE: &str = "SLIPWAY_CHECKPOINT_STORE";
/// The seconds between two checkpoints.
pub const CHECKPOINT_SECONDS: &str = "SLIPWAY_CHECKPOINT_SECONDS";
/// A folder in which a program finds its last checkpoint and leaves the next one; the launcher sets it for the program.
pub const CHECKPOINTS: &str = "SLIPWAY_CHECKPOINTS";
/// Where a sample of a server's requests is kept: `s3://<bucket>`.
pub const REQUESTS: &str = "SLIPWAY_REQUESTS";
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
/// The bucket that takes what people say about answers: `s3://<bucket>`.
pub const FEEDBACK: &str = "SLIPWAY_FEEDBACK";
/// The server's address, for the page.
pub const SERVER_URL: &str = "SLIPWAY_SERVER_URL";
/// The bare repository of the loop on one machine, for the page.
pub const FORGE: &str = "SLIPWAY_FORGE";
/// The environment that a program runs in, such as `local`.
pub const ENVIRONMENT: &str = "SLIPWAY_ENVIRONMENT";
/// The project's repository, for the training manager: its address on GitHub, or the path of a bare one.
pub const REPOSITORY: &str = "SLIPWAY_REPOSITORY";
/// The folder of the project in that repository; unset if it is the top.
pub const PROJECT: &str = "SLIPWAY_PROJECT";
/// The namespace of the training manager's Lease.
pub const LEASE_NAMESPACE: &str = "SLIPWAY_LEASE_NAMESPACE";
/// The training manager's address, for the page.
pub const MANAGER_URL: &str = "SLIPWAY_MANAGER_URL";
/// The dataset monitor's address, for the page.
pub const MONITOR_URL: &str = "SLIPWAY_MONITOR_URL";
/// A file with the token that the training manager asks for before it writes to a bare repository; the page sends it.
pub const MANAGER_TOKEN_FILE: &str = "SLIPWAY_MANAGER_TOKEN_FILE";
/// A file with the token that the dataset monitor asks for in notifications of the object store.
pub const EVENTS_TOKEN_FILE: &str = "SLIPWAY_EVENTS_TOKEN_FILE";
/// The id of the GitHub App that opens pull requests.
pub const GITHUB_APP_ID: &str = "SLIPWAY_GITHUB_APP_ID";
/// The app's private key, in PEM format.
pub const GITHUB_APP_PRIVATE_KEY: &str = "SLIPWAY_GITHUB_APP_PRIVATE_KEY";
/// A file with the app's private key.
pub const GITHUB_APP_PRIVATE_KEY_FILE: &str = "SLIPWAY_GITHUB_APP_PRIVATE_KEY_FILE";

/// The namespace of the TrainJobs.
pub const TRAINING_NAMESPACE: &str = "SLIPWAY_TRAINING_NAMESPACE";
/// The namespace of a pod, as its manifest gives it.
pub const POD_NAMESPACE: &str = "POD_NAMESPACE";

/// MLflow's address; the name is MLflow's.
pub const MLFLOW_TRACKING_URI: &str = "MLFLOW_TRACKING_URI";
/// MLflow's user; the name is MLflow's.
pub const MLFLOW_TRACKING_USERNAME: &str = "MLFLOW_TRACKING_USERNAME";
/// The password of MLflow's user; the name is MLflow's.
pub const MLFLOW_TRACKING_PASSWORD: &str = "MLFLOW_TRACKING_PASSWORD";
/// A token instead of user and password; the name is MLflow's.
pub const MLFLOW_TRACKING_TOKEN: &str = "MLFLOW_TRACKING_TOKEN";

/// Where a browser finds MLflow; the name is the page's.
pub const MLFLOW_PUBLIC_URL: &str = "MLFLOW_PUBLIC_URL";
/// The configuration of clients of Kubernetes; the name is theirs.
pub const KUBECONFIG: &str = "KUBECONFIG";

/// Where workers say how far they are; Kubeflow Trainer sets it.
pub const TRAINER_SERVER_URL: &str = "KUBEFLOW_TRAINER_SERVER_URL";
/// A file with the certificates that are trusted there; Kubeflow Trainer sets it.
pub const TRAINER_SERVER_CA_CERT: &str = "KUBEFLOW_TRAINER_SERVER_CA_CERT";
/// A file with the token that is sent there; Kubeflow Trainer sets it.
pub const TRAINER_SERVER_TOKEN: &str = "KUBEFLOW_TRAINER_SERVER_TOKEN";

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
