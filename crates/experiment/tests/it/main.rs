//! What the crate promises its callers, from text to text.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bad_input;
mod crd;
mod hostile;
mod identity;
mod jobs;
mod programs;
mod properties;
mod records;
mod rendering;
mod schema;
mod text;
mod training;
