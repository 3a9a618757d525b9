//! What the manager waits for.

use slipway_service::Awaits;

/// What is missing before the manager is ready: for each of it why, and what to do.
pub type Missing = slipway_service::Missing<What>;

/// Keeps what is missing up to date.
pub type Awaited = slipway_service::Awaited<What>;

/// What the manager waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The repository, with its forge.
    Repository,
    /// The API server.
    Cluster,
    /// MLflow.
    Mlflow,
    /// What git and the cluster hold.
    Content,
}

impl Awaits for What {
    fn all() -> Vec<(Self, &'static str)> {
        vec![
            (Self::Repository, "the repository has not answered yet"),
            (Self::Cluster, "the cluster has not answered yet"),
            (Self::Mlflow, "MLflow has not answered yet"),
            (Self::Content, "neither git nor the cluster has been read yet"),
        ]
    }
}
