//! The whole loop on one machine: S3, MLflow, the model server, the page, a forge, and what follows its main branch.
//!
//! Everything real, on loopback and free ports, with all state in one folder:
//!
//! ```text
//! forge.git/main --sync--> TrainJobs --queue--> workers (processes)      each child hangs on a supervisor
//!                     \--> models.yaml --> model server                   that ends it when this process is gone
//! ```
//!
//! [`begin`] takes the state folder and has S3 and the forge ready at once; [`Starting::ready`] brings up the rest.
//! A TrainJob's file is the only input of its run, as it is in a cluster.

mod begin;
mod child;
mod command;
mod configuration;
mod credentials;
mod error;
mod files;
mod forge;
mod http;
mod mlflow;
mod page;
mod port;
mod programs;
mod queue;
mod revision;
mod running;
mod s3;
mod server;
mod state;
mod status;
mod supervise;
mod sync;
mod train_job;
mod worker;

pub use begin::{Starting, begin};
pub use child::Supervisor;
pub use configuration::{Configuration, Observer};
pub use credentials::Credentials;
pub use error::{Error, Result};
pub use programs::{Program, Programs};
pub use queue::{Jobs, Place, Queue};
pub use running::Running;
pub use state::{State, StateFolder};
pub use status::{Condition, JobStatus, Phase};
pub use supervise::supervise;
pub use train_job::TrainJob;
