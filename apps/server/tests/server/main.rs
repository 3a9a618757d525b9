//! The server's program over HTTP, with a registry that the tests fill.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod answers;
mod following;
mod process;
mod registry;
mod versions;
