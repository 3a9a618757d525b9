//! What the crate promises: by sums over everything that can happen, by simulation, and beside scipy.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod accuracy;
mod detector;
mod difference;
mod monitor;
mod paired;
mod power;
mod scipy;
#[path = "../../examples/false_alarms/streams.rs"]
#[expect(dead_code, reason = "the program that the file belongs to prints names and correlations as well")]
mod streams;
