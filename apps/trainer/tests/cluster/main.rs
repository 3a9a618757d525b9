//! Workers as a cluster runs them: real processes, configured by variables and files, with MLflow, S3 and Trainer's status
//! API beside them. Needs SLIPWAY_PYTHON, which `make test` sets.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod again;
mod between;
mod checkpoints;
mod kills;
mod objects;
mod place;
mod progress;
mod status_api;
mod stopping;
mod waiting;
mod worker;
