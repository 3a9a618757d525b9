//! Declarations with the data that they name: what comes out, and what is said about data that does not fit.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod archives;
mod downloads;
mod idx;
mod images;
mod project;
mod tables;
