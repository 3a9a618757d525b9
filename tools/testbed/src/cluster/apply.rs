//! Applying manifests with the code that `slipway bootstrap` applies with.

use std::time::Duration;

use slipway_cluster::{ApplyOptions, Cluster, Deadline};

use super::error::Error;
use super::manifest::Manifest;

/// How many objects are sent at once.
const CONCURRENCY: usize = 8;

/// How long a new kind may take to be served, or a webhook's Service to lead to its pod.
const SETTLE: Duration = Duration::from_secs(60);

/// Applies every object, first those that others need. `namespace` is for those that name none.
///
/// # Errors
/// The first object that the API server refuses.
pub async fn apply(cluster: &Cluster, manifest: &Manifest, namespace: &str) -> Result<(), Error> {
    let deadline = Deadline::after(SETTLE);
    let options = ApplyOptions { manager: "testbed", namespace, dry_run: false, concurrency: CONCURRENCY, deadline };
    Ok(cluster.apply(manifest.objects(), options, &|_, _| {}).await?)
}
