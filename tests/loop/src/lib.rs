//! Runs the real programs against a fresh clone of this repository, as a newcomer would.

pub mod answer;
pub mod bench;
pub mod command;
pub mod demo;
pub mod followed;
pub mod login_mlflow;
pub mod process;
pub mod programs;
pub mod secrets;
pub mod squares;
pub mod tracking;
pub mod wine;
