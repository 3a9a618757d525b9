//! A real Kubernetes for tests: programs built from Go modules, images assembled from them, one node in namespaces of its own.

pub mod build;
mod cache;
pub mod images;
mod inputs;
pub mod manifests;
pub mod mirror;
mod prepare;
pub mod progress;

pub use cache::Cache;
pub use prepare::{Error as PrepareError, prepare};
