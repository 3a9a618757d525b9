//! The monitor with a real store, a real git repository, and a model that answers over HTTP.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod interface;
mod kills;
mod model;
mod once;
mod pictures;
mod program;
mod requests;
mod rivals;
mod watching;
mod world;
