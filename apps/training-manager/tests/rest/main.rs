//! The REST interface as others see it: over sockets, against MLflow's real server, bare git repositories, and a stand-in for Kubernetes'
//! API.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod cluster;
mod document;
mod ending;
mod events;
#[expect(dead_code, reason = "the tests of the loops use the rest")]
#[path = "../loops/kubernetes.rs"]
mod kubernetes;
mod logged;
mod logs;
mod manager;
mod people;
mod project;
mod reads;
mod refusals;
mod starting;
mod tracking;
mod writes;
