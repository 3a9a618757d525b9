//! The manager's loops against an API server in memory, a real bare repository or an emulated GitHub, and a real MLflow.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod archiving;
mod away;
mod clock;
mod course;
mod declaring;
mod door;
mod github;
mod held;
mod kills;
mod kubernetes;
mod life;
mod logs;
mod pace;
mod program;
mod two;
mod watching;
mod world;
