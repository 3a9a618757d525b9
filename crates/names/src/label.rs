//! Labels of Kubernetes objects.

/// The experiment that a TrainJob belongs to.
pub const EXPERIMENT: &str = "slipway.dev/experiment";

/// Of a Service or Gateway: `internal` if only private addresses may lead to it.
pub const EXPOSURE: &str = "slipway.dev/exposure";
