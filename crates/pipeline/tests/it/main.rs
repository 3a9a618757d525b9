//! Declarations with data in a project and in a store: what is published, and what is said about the rest.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod at_once;
mod clean;
mod growth;
mod quality;
mod repeated;
mod tables;
mod workshop;
