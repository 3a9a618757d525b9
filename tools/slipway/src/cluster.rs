//! `clusters/<env>/cluster.yaml`: what a CPU-hour costs in an environment, and what its TrainJobs run.

use serde::{Deserialize, Serialize};
use slipway_experiment::Finding;

use crate::tree::Tree;

/// What an environment is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Cluster {
    #[expect(dead_code, reason = "read so that a file of another kind is refused")]
    api_version: ApiVersion,
    #[expect(dead_code, reason = "read so that a file of another kind is refused")]
    kind: Kind,
    #[expect(dead_code, reason = "names the file for its reader")]
    metadata: Metadata,
    pub(crate) spec: ClusterSpec,
}

#[derive(Clone, Debug, Deserialize)]
enum ApiVersion {
    #[serde(rename = "slipway.dev/v1alpha1")]
    V1Alpha1,
}

#[derive(Clone, Debug, Deserialize)]
enum Kind {
    Cluster,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    #[expect(dead_code, reason = "names the file for its reader")]
    name: String,
}

/// Its prices and limits.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClusterSpec {
    /// The image that new TrainJobs are rendered with.
    pub(crate) trainer_image: String,
    /// The most trials that one experiment may have here.
    pub(crate) max_trials: Option<usize>,
    pub(crate) prices: Prices,
}

/// What things cost.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Prices {
    /// One CPU for one hour.
    pub(crate) cpu_hour: f64,
    /// Such as `USD`.
    pub(crate) currency: String,
}

/// Where an environment's file is.
pub(crate) fn path(environment: &str) -> String {
    format!("clusters/{environment}/cluster.yaml")
}

/// Reads an environment's file.
pub(crate) fn read(tree: &Tree, environment: &str) -> Result<Cluster, Finding> {
    let path = path(environment);
    let Some(text) = tree.text(&path) else {
        let known = tree.folders_in("clusters").join(", ");
        return Err(Finding::new(&path, 1, 1, "unknown-environment", format!("there is no {path}"))
            .with_help(format!("environments are the folders of clusters/: {known}")));
    };
    crate::yaml::parse(&path, &text)
}
