//! The REST interface as others see it: over sockets, against MLflow's real server, bare git repositories, and a stand-in for Kubernetes'
//! API.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod cluster;
mod document;
mod ending;
mod events;
mod logs;
mod manager;
mod project;
mod reads;
mod refusals;
mod tracking;
mod writes;
