//! Runs the real programs against a fresh clone of this repository, as a newcomer would.

pub mod bench;
pub mod demo;
pub mod programs;
pub mod tracking;
