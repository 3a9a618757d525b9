//! Runs the real programs against a fresh clone of this repository, as a newcomer would.

pub mod bench;
pub mod demo;
pub mod login_mlflow;
pub mod process;
pub mod programs;
pub mod secrets;
pub mod tracking;
