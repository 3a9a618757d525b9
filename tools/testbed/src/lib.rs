//! A real Kubernetes for tests: programs built from Go modules, images assembled from them, one node in namespaces of its own.

mod cache;

pub use cache::Cache;
