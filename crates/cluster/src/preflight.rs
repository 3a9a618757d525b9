//! Everything that is asked of a cluster before anything is put into it.

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams};

use crate::connection::Cluster;
use crate::error::{Error, Result};
use crate::fit::{Examined, GATEWAYS, Requirements, gateway_api, nodes, storage_class, version, webhooks};
use crate::permissions;

/// Checks every requirement, whatever comes of the others. `is_pinned` says whether every pod that will run names an architecture that
/// it runs on, see [`pins_architecture`](crate::pins_architecture); it is asked only if the cluster has nodes of other architectures.
/// `brings_gateway_api` says whether the tree installs the Gateway API's definitions.
///
/// # Errors
/// When the API server does not answer or does not accept the login. What is wrong with the cluster is in the result.
pub async fn preflight(
    cluster: &Cluster,
    required: &Requirements,
    is_pinned: impl FnOnce() -> bool,
    brings_gateway_api: impl FnOnce() -> bool,
) -> Result<Vec<Examined>> {
    let found = cluster.client().apiserver_version().await.map_err(|error| cluster.failed("GET /version", error))?;
    let mut examined = vec![version(&found, required.version), permissions::examine(cluster).await?];
    let all = cluster.list(&Api::<Node>::all(cluster.client().clone()), &ListParams::default()).await;
    match all {
        Ok(all) => {
            examined.push(nodes(&all, required, is_pinned));
            examined.extend(webhooks(&all));
        }
        Err(error @ Error::Refused { code: 403, .. }) => {
            examined.push(Examined::new("nodes", false, error.to_string(), "ask for the right to list nodes"));
        }
        Err(error) => return Err(error),
    }
    let definition = Api::<CustomResourceDefinition>::all(cluster.client().clone()).get_opt(GATEWAYS).await;
    let definition = definition.map_err(|error| cluster.failed(&format!("CustomResourceDefinition {GATEWAYS}"), error));
    examined.push(match definition {
        Ok(definition) => gateway_api(definition.as_ref(), brings_gateway_api()),
        Err(error @ Error::Refused { code: 403, .. }) => {
            Examined::new("Gateway API", false, error.to_string(), "ask for the right to read definitions")
        }
        Err(error) => return Err(error),
    });
    if let Some(class) = &required.storage_class {
        let all = cluster.list(&Api::<StorageClass>::all(cluster.client().clone()), &ListParams::default()).await?;
        examined.push(storage_class(&all, class));
    }
    Ok(examined)
}
