//! Kubernetes' API of the loop, with the client that the training manager uses. Shell scripts are where a trainer would be.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bench;
mod leases;
mod logs;
mod objects;
mod progress;
mod refusals;
mod watching;
