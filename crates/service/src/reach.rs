//! Reaching what a service works with. Each fails with why, and what to do.

use std::fmt::Display;

use slipway_causes::{chain, without_password};
use slipway_cluster::Cluster;
use slipway_mlflow::Client;
use slipway_names::env;

use crate::repository::{Followed, blocking};
use crate::settings::Place;

/// The repository, once something was fetched from it.
///
/// # Errors
/// Why it cannot be read.
pub async fn repository(place: &Place) -> Result<Followed, String> {
    let Place { repository, project, cache } = place.clone();
    let shown = without_password(&repository);
    let wrong = |error: &dyn Display| {
        format!("the repository {shown}, which {} names, cannot be read: {error}", env::REPOSITORY)
    };
    // it may ask programs of this machine
    let followed = blocking(move || Followed::open(&repository, &project, &cache)).await;
    let followed = followed.map_err(|error| wrong(&error))?;
    let read = async {
        let branch = followed.remote.forge.default_branch().await?;
        let commit = followed.fetch(&branch).await?;
        Ok::<_, slipway_proposal::Error>((branch, commit))
    };
    match read.await {
        Ok((_, Some(_))) => Ok(followed),
        Ok((branch, None)) => {
            Err(wrong(&format!("it has no commit on its default branch {branch} yet: push the project to it")))
        }
        Err(error) if followed.is_read_only() => {
            let how = format!("{} and the app's private key", env::GITHUB_APP_ID);
            Err(wrong(&format!("{error}; there are no credentials for it, and a private one needs them: set {how}")))
        }
        Err(error) => Err(wrong(&error)),
    }
}

/// The cluster, once its API server has answered, and a client for logs.
///
/// # Errors
/// Why it cannot be asked.
pub async fn cluster() -> Result<(Cluster, kube::Client), String> {
    let cluster = Cluster::connect(None).await.map_err(|error| error.to_string())?;
    cluster.client().apiserver_version().await.map_err(|error| {
        let how = format!("check {} and the network", env::KUBECONFIG);
        format!("the cluster at {} does not answer as it should: {}; {how}", cluster.server(), chain(&error))
    })?;
    let patient = cluster.patient_client().map_err(|error| error.to_string())?;
    Ok((cluster, patient))
}

/// MLflow, once it has answered.
///
/// # Errors
/// Why it cannot be asked.
pub async fn mlflow(mlflow: &Client) -> Result<(), String> {
    mlflow.health().await.map_err(|error| error.to_string())
}
