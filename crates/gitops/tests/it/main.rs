//! A small repository without mistakes; what is found when one thing in it is wrong; how repositories differ.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that panics has failed")]

mod differences;
mod findings;
mod following;
mod repository;
