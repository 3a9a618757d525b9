//! The manager: all of its loops, and what they tell each other.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future;
use std::sync::Arc;

use slipway_cluster::{Cluster, Leadership};
use slipway_mlflow::Client;
use slipway_service::{Followed, lead};
use tokio::sync::{mpsc, watch};

use crate::challengers::{self, Server};
use crate::history::History;
use crate::known::Known;
use crate::reports::{PACE, Reporting};
use crate::rest::Metrics;
use crate::schedule::Pace;
use crate::view::Trainings;
use crate::{
    archive, declared, logs, merges, missing, origins, recorded, reports, stalled, trainings, watch as watching,
};

/// A training manager.
///
/// ```text
/// API server --watch-->    Observed \                       /--> reports, promotions, merges   (the leader alone)
/// git        --declared--> Declared  +--Known--> trainings +---> logs with the runs, archive   (the leader alone)
/// MLflow     --recorded--> Recorded /                       \--> Trainings, which REST shows
/// forge      --origins-->  Origins /
/// pods' logs --stalled-->  Stalled /
/// server     --challengers--> the pull request that ends a trial   (the leader alone)
/// ```
///
/// Nothing is kept but a copy of the repository: after a start everything is looked at again.
#[derive(Debug)]
pub struct Manager {
    /// The cluster.
    pub cluster: Cluster,
    /// The namespace of its TrainJobs.
    pub namespace: String,
    /// The environment that the cluster is.
    pub environment: String,
    /// The repository, with its forge.
    pub followed: Followed,
    /// MLflow.
    pub mlflow: Client,
    /// Where a browser finds MLflow.
    pub pages: Option<String>,
    /// The server whose challengers are followed; `None` if none is.
    pub server: Option<Server>,
    /// Moves jobs that have ended to the history; `None` if nothing does.
    pub archive: Option<History>,
    /// Whether this manager is the one that writes.
    pub leadership: Leadership,
    /// How fast reports are written.
    pub pace: Pace,
    /// What was done.
    pub metrics: Metrics,
}

/// Where what is known leaves the manager.
#[derive(Debug)]
pub struct Published {
    /// The read model.
    pub trainings: watch::Sender<Arc<Trainings>>,
    /// Whether git and the cluster have been read once; otherwise what is still awaited.
    pub ready: watch::Sender<Result<(), String>>,
}

impl Default for Published {
    fn default() -> Self {
        let waits = Err("neither git nor the cluster has been read yet".to_owned());
        Self { trainings: watch::Sender::default(), ready: watch::Sender::new(waits) }
    }
}

impl Manager {
    /// Runs until it is dropped, which may be at any moment.
    pub async fn run(&self, published: &Published) -> Infallible {
        let (declared, observed) = (watch::Sender::default(), watch::Sender::default());
        let (recorded, origins) = (watch::Sender::default(), watch::Sender::default());
        let (missing, stalled) = (watch::Sender::default(), watch::Sender::default());
        let known = || Known {
            declared: declared.subscribe(),
            observed: observed.subscribe(),
            recorded: recorded.subscribe(),
            origins: origins.subscribe(),
            missing: missing.subscribe(),
            stalled: stalled.subscribe(),
        };
        let Self { cluster, namespace, environment, followed, mlflow, pages, metrics, leadership, .. } = self;
        let pages = pages.as_deref();
        let safe = watch::Sender::new(BTreeSet::new());
        let reporting = Reporting { followed, mlflow, environment, pages, pace: self.pace, metrics, leadership };
        let (tree, there) = (|| declared.subscribe(), || observed.subscribe());
        let lead = lead(leadership, async || {
            if followed.is_read_only() {
                return logs::follow(cluster, namespace, mlflow, leadership, known(), &safe).await;
            }
            let (merges, arriving) = mpsc::unbounded_channel();
            tokio::join!(
                reports::follow(reporting, known(), merges.clone()),
                merges::follow(followed, leadership, arriving),
                logs::follow(cluster, namespace, mlflow, leadership, known(), &safe),
                async {
                    match &self.server {
                        Some(server) => challengers::follow(server, followed, mlflow, leadership, environment).await,
                        None => future::pending().await,
                    }
                },
                async {
                    match &self.archive {
                        Some(history) => archive::follow(history, leadership, known(), safe.subscribe(), &merges).await,
                        None => future::pending().await,
                    }
                },
            )
            .0
        });
        tokio::join!(
            watching::follow(cluster, namespace, &observed),
            declared::follow(followed, environment, pages, there(), &declared),
            recorded::follow(mlflow, tree(), there(), &recorded),
            origins::follow(followed, environment, self.pace, tree(), there(), &origins),
            missing::follow(cluster, tree(), there(), &missing),
            stalled::follow(cluster, namespace, there(), &stalled),
            trainings::follow(known(), environment, pages, metrics, published),
            lead,
        )
        .0
    }
}

impl Default for Pace {
    fn default() -> Self {
        PACE
    }
}
