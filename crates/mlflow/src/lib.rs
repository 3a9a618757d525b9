//! A typed client of MLflow's REST API: runs, batched metrics, dataset inputs, logged models, the registry, artifacts.
//!
//! Written against MLflow 3.17 (`mlflow/protos/service.proto`, `model_registry.proto`, `mlflow_artifacts.proto`). Artifacts
//! travel through the server's proxy (`--serve-artifacts`), so that clients need no credentials for the object store.
//!
//! ```no_run
//! # async fn example() -> Result<(), slipway_mlflow::Error> {
//! use slipway_mlflow::{Client, Metric, RunStatus};
//!
//! let mlflow = Client::new("http://127.0.0.1:5000")?;
//! let experiment = mlflow.get_or_create_experiment("mnist-cnn").await?;
//! let run = mlflow.create_run(&experiment, "mnist-cnn-1a2b3c4d", &[], 0).await?;
//! mlflow.log_batch(&run.run_id, &[Metric::new("loss", 0.1, 0, 1)], &[], &[]).await?;
//! mlflow.update_run(&run.run_id, RunStatus::Finished, 1).await?;
//! # Ok(())
//! # }
//! ```

mod address;
mod artifacts;
mod batch;
mod client;
mod credentials_file;
mod earlier;
mod error;
mod experiments;
mod inputs;
mod job_runs;
mod login;
mod models;
mod registry;
mod retry;
mod runs;
mod tls;
mod values;

pub use artifacts::Artifact;
pub use client::Client;
pub use earlier::{Earlier, newest_runs};
pub use error::Error;
pub use inputs::{DATASET_DIGEST_LENGTH, DatasetInput, short_digest};
pub use models::{LoggedModel, LoggedModelStatus};
pub use registry::ModelVersion;
pub use retry::Retry;
pub use runs::{Run, RunStatus};
pub use values::{Metric, Param, Tag};

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
