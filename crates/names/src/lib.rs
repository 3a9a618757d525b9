//! Names that programs agree on: labels and annotations of TrainJobs, environment variables, exit codes of workers, tags and
//! artifacts of runs and versions, ids of requests, outputs of models, lines of logs.
//!
//! Each is written here once. A name that only one program reads and nobody else sets stays in that program.

pub mod annotation;
pub mod artifact;
pub mod env;
pub mod event;
pub mod exit;
pub mod label;
pub mod output;
pub mod request;
pub mod tag;
