//! Against an API server in memory, which keeps objects and refuses what a test tells it to. Real clusters are asked by the end-to-end
//! tests.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that panics has failed")]

mod bootstrapping;
mod diagnosing;
mod preflight;
mod server;
