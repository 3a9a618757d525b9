//! Reports on changes in real repositories, of any size, and with hostile content.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod change;
mod examining;
mod hostile;
mod packing;
mod random;
mod results;
