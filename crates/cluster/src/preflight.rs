//! Everything that is asked of a cluster before anything is put into it.

use crate::connection::Cluster;
use crate::error::Result;
use crate::fit::{Examined, Requirements, nodes, storage_class, version};
use crate::permissions;

/// Looks at everything, whatever is wrong with the rest.
///
/// # Errors
/// When the API server does not answer; what is wrong with the cluster is in the result.
pub async fn preflight(cluster: &Cluster, wanted: &Requirements) -> Result<Vec<Examined>> {
    let said = cluster.get("/version").await?.unwrap_or_default();
    let mut examined = vec![version(&said, wanted.version)];
    examined.push(permissions::examine(cluster).await?);
    let all = cluster.list("/api/v1/nodes").await;
    examined.push(match all {
        Ok(all) => nodes(&all, &wanted.architectures),
        Err(error) if error.is_passing() => return Err(error),
        Err(error) => Examined::new("nodes", false, error.to_string(), "ask for the right to list nodes"),
    });
    if let Some(class) = &wanted.storage_class {
        let all = cluster.list("/apis/storage.k8s.io/v1/storageclasses").await?;
        examined.push(storage_class(&all, class));
    }
    Ok(examined)
}
