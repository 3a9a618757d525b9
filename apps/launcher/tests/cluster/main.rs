//! Programs as a cluster runs them: real processes, configured by variables and files, with MLflow, S3 and Trainer's status API beside
//! them. Needs SLIPWAY_PYTHON and SLIPWAY_PYTHON_TORCH, which `make test` sets.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bad_programs;
mod checkpoints;
mod environment;
mod models;
#[path = "../../../trainer/tests/cluster/objects.rs"]
#[expect(dead_code, reason = "the trainer's tests use all of it")]
mod objects;
mod progress;
#[path = "../../../trainer/tests/cluster/status_api.rs"]
#[expect(dead_code, reason = "the trainer's tests use all of it")]
mod status_api;
mod stopping;
mod two_workers;
mod worker;
