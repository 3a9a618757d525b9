//! Checkpoints over S3's real protocol.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod damage;
mod faults;
mod place;
mod writers;
