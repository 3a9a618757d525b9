//! Labels of Kubernetes objects.

/// The experiment that a TrainJob belongs to.
pub const EXPERIMENT: &str = "slipway.dev/experiment";
