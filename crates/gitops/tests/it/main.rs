//! A small, right tree; what is found when one thing in it is wrong; and how trees differ.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that panics has failed")]

mod differences;
mod findings;
mod repository;
