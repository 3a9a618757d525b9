//! `clusters/<env>/cluster.yaml`: what a CPU-hour costs in an environment, and what its TrainJobs run.

use serde::{Deserialize, Serialize};
use slipway_experiment::{Finding, position_of};

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
    /// Whether every image must be named by its digest.
    #[serde(default)]
    pub(crate) images_by_digest: bool,
    /// What bootstrap asks of the cluster itself.
    #[serde(default)]
    pub(crate) requires: Requires,
}

/// What a cluster must be.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Requires {
    /// The oldest version of Kubernetes.
    pub(crate) kubernetes: String,
    /// The architectures that there are images for.
    pub(crate) architectures: Vec<String>,
    /// A storage class; empty for the default one; none when no storage is needed.
    pub(crate) storage_class: Option<String>,
}

impl Default for Requires {
    fn default() -> Self {
        Self {
            kubernetes: "1.31".to_owned(),
            architectures: vec!["amd64".to_owned(), "arm64".to_owned()],
            storage_class: None,
        }
    }
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

/// The trainer's image must be named by its digest where all images must.
pub(crate) fn unpinned_image(tree: &Tree, environment: &str, cluster: &ClusterSpec) -> Option<Finding> {
    if !cluster.images_by_digest || cluster.trainer_image.contains("@sha256:") {
        return None;
    }
    let path = path(environment);
    let (line, column) = position_of(&tree.text(&path).unwrap_or_default(), "spec.trainerImage");
    let message = format!("the trainer's image is {}, and {environment} wants images by digest", cluster.trainer_image);
    Some(
        Finding::new(&path, line, column, "image-without-digest", message)
            .with_help("append @sha256:…, as `slipway image push` prints it"),
    )
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
