//! Everything that is asked of a cluster before anything is put into it.

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, ListParams};

use crate::connection::Cluster;
use crate::error::{Error, Result};
use crate::fit::{Examined, Requirements, nodes, storage_class, version};
use crate::permissions;

/// Checks every requirement, whatever comes of the others. `is_pinned` says whether every pod that will run names an architecture that
/// it runs on, see [`pins_architecture`](crate::pins_architecture); it is asked only if the cluster has nodes of other architectures.
///
/// # Errors
/// When the API server does not answer or does not accept the login. What is wrong with the cluster is in the result.
pub async fn preflight(
    cluster: &Cluster,
    required: &Requirements,
    is_pinned: impl FnOnce() -> bool,
) -> Result<Vec<Examined>> {
    let found = cluster.client().apiserver_version().await.map_err(|error| cluster.failed("GET /version", error))?;
    let mut examined = vec![version(&found, required.version), permissions::examine(cluster).await?];
    let all = cluster.list(&Api::<Node>::all(cluster.client().clone()), &ListParams::default()).await;
    examined.push(match all {
        Ok(all) => nodes(&all, required, is_pinned),
        Err(error @ Error::Refused { code: 403, .. }) => {
            Examined::new("nodes", false, error.to_string(), "ask for the right to list nodes")
        }
        Err(error) => return Err(error),
    });
    if let Some(class) = &required.storage_class {
        let all = cluster.list(&Api::<StorageClass>::all(cluster.client().clone()), &ListParams::default()).await?;
        examined.push(storage_class(&all, class));
    }
    Ok(examined)
}
