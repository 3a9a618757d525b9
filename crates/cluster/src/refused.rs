//! TrainJobs that the cluster refused when Argo CD applied them.

use std::collections::BTreeMap;

use kube::api::TypeMeta;

use crate::connection::Cluster;
use crate::error::Result;
use crate::fields::{items, text};
use crate::training::{Hindrance, of_refusal};

/// The TrainJobs that Argo CD could not apply, by name, with why; none without Argo CD.
///
/// # Errors
/// When the API server does not answer or refuses.
pub async fn refused(cluster: &Cluster) -> Result<BTreeMap<String, Hindrance>> {
    let types = TypeMeta { api_version: "argoproj.io/v1alpha1".to_owned(), kind: "Application".to_owned() };
    let Some(application) = cluster.find(&types, "argocd", "training-jobs").await? else { return Ok(BTreeMap::new()) };
    let results = items(&application.data, "/status/operationState/syncResult/resources").iter();
    let failed = results.filter(|one| text(one, "/kind") == "TrainJob" && text(one, "/status") == "SyncFailed");
    Ok(failed.map(|one| (text(one, "/name").to_owned(), of_refusal(text(one, "/message")))).collect())
}
