//! The server's program over HTTP, with a registry that the tests fill.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod answers;
mod bounds;
mod challengers;
mod confined;
mod encodings;
mod features;
mod feedback;
mod following;
mod invocations;
mod metrics;
mod models;
mod mount;
mod process;
mod proxy;
mod registry;
mod rolling;
mod samples;
mod shadows;
mod triton;
mod versions;
