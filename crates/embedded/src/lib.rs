//! The whole loop on one machine: S3, MLflow, the model server, the training manager, the dataset
//! monitor, the page, a forge, and a sync of its main branch.
//!
//! The real programs, on loopback and free ports, with all state in one folder:
//!
//! ```text
//! forge.git/main --sync--> TrainJobs --queue--> workers (processes)      each child process has a supervisor
//!                     \                  \--> Kubernetes' API <-- training manager    that ends it
//!                      \--> models.yaml --> model server                  when this process is gone
//! ```
//!
//! [`begin`] takes the state folder and starts S3 and the forge at once; [`Starting::ready`] starts the rest.
//! A TrainJob's file is the only input of its run, as it is in a cluster.

mod checkpoints;
mod child;
mod configuration;
mod credentials;
mod error;
mod files;
mod followed;
mod forge;
mod health;
mod jobs;
mod kept;
mod kubernetes;
mod listening;
mod listing;
mod lock;
mod log;
mod manager;
mod mlflow;
mod monitor;
mod notes;
mod open_runs;
mod page;
mod port;
mod programs;
mod queue;
mod running;
mod s3;
mod scheduler;
mod server;
mod services;
mod starting;
mod state;
mod state_folder;
mod status;
mod supervise;
mod sync;
mod task;
mod trainer_status;
mod trainers;
mod training_runtime;
mod worker_status;
mod workers;

pub use child::Supervisor;
pub use configuration::{Configuration, Observer};
pub use credentials::Credentials;
pub use error::{Error, Result};
pub use followed::Followed;
pub use jobs::Jobs;
pub use kubernetes::{Kubernetes, Serving, StatusServer};
pub use lock::Holder;
pub use programs::{Program, Programs};
pub use queue::Queue;
pub use running::Running;
pub use starting::{Starting, begin};
pub use state::State;
pub use state_folder::StateFolder;
pub use status::{Condition, JobStatus, Phase};
pub use supervise::supervise;
pub use trainer_status::{Metric, TrainerStatus};
pub use trainers::Trainers;
pub use training_runtime::TrainingRuntime;
pub use worker_status::{WorkerEnd, WorkerStatus};
