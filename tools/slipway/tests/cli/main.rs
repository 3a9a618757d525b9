//! The program as its users run it, on real repositories.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that panics has failed")]

mod check;
mod deployed;
mod json;
mod lineage;
mod own_tree;
mod project;
mod propose;
mod render;
#[path = "../ran/mod.rs"]
mod ran;
mod status;
mod upstream;
