//! What the monitor waits for.

use slipway_service::Awaits;

/// What is missing before the monitor is ready: for each of it why, and what to do.
pub type Missing = slipway_service::Missing<What>;

/// Keeps what is missing up to date.
pub type Awaited = slipway_service::Awaited<What>;

/// What the monitor waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The repository, with its forge.
    Repository,
    /// The API server, for the Lease.
    Cluster,
    /// The dataset store.
    Store,
    /// What git declares.
    Content,
}

impl Awaits for What {
    fn all() -> Vec<(Self, &'static str)> {
        vec![
            (Self::Repository, "the repository has not answered yet"),
            (Self::Cluster, "the cluster has not answered yet"),
            (Self::Store, "the dataset store has not answered yet"),
            (Self::Content, "git has not been read yet"),
        ]
    }
}
