//! Against an API server in memory, which keeps objects and refuses what a test tells it to. The end-to-end tests use real clusters.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that panics has failed")]

mod bootstrapping;
mod diagnosing;
mod lists;
mod preflight;
mod server;
