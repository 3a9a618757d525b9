//! The program as its users run it, on real repositories.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test that panics has failed")]

mod check;
mod cluster;
mod dataset;
mod dataset_kills;
mod deployed;
mod history;
mod json;
mod lineage;
mod own_tree;
mod programs;
mod project;
mod propose;
mod pull_requests;
#[path = "../ran/mod.rs"]
mod ran;
mod registries;
mod render;
mod status;
mod trials;
mod upstream;
