//! A real Kubernetes for tests: programs built from Go modules, images assembled from them, one node in namespaces of its own.

pub mod bench;
pub mod build;
mod cache;
pub mod cluster;
pub mod file;
mod folder;
pub mod images;
mod inputs;
pub mod manifests;
pub mod mirror;
pub mod node;
mod prepare;
pub mod progress;
pub mod testing;

pub use cache::Cache;
pub use cluster::Cluster;
pub use folder::{Folder, Forget};
pub use prepare::{Error as PrepareError, prepare, prepare_node};
