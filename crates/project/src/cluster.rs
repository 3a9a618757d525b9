//! `clusters/<env>/cluster.yaml`: prices, limits and the trainer's image of an environment.

use serde::{Deserialize, Serialize};
use slipway_source::{Finding, Position, position_of, suggestion, typed};

use crate::header::{ApiVersion, Metadata};
use crate::tree::Tree;

/// The content of an environment's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    #[expect(dead_code, reason = "read so that a file of another kind is refused")]
    api_version: ApiVersion,
    #[expect(dead_code, reason = "read so that a file of another kind is refused")]
    kind: Kind,
    metadata: Metadata,
    /// Prices, limits and requirements.
    pub spec: ClusterSpec,
}

#[derive(Clone, Debug, Deserialize)]
enum Kind {
    Cluster,
}

/// Prices, limits and requirements of an environment.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// The image that new TrainJobs are rendered with.
    pub trainer_image: String,
    /// The most trials that one experiment may have in this environment.
    pub max_trials: Option<usize>,
    /// What CPU costs.
    pub prices: Prices,
    /// Whether every image must be named by its digest.
    #[serde(default)]
    pub images_by_digest: bool,
    /// What bootstrap requires of the cluster.
    #[serde(default)]
    pub requires: Requires,
}

/// Requirements on a cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Requires {
    /// The oldest supported version of Kubernetes: by default that of cert-manager 1.21, which asks for the newest.
    pub kubernetes: String,
    /// The architectures that have images.
    pub architectures: Vec<String>,
    /// The storage class; empty for the default one; `None` if no storage is needed.
    pub storage_class: Option<String>,
}

impl Default for Requires {
    fn default() -> Self {
        Self {
            kubernetes: "1.33".to_owned(),
            architectures: vec!["amd64".to_owned(), "arm64".to_owned()],
            storage_class: None,
        }
    }
}

/// What CPU costs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prices {
    /// The price of one CPU for one hour.
    pub cpu_hour: f64,
    /// The currency, such as `USD`.
    pub currency: String,
}

/// The path of an environment's file.
#[must_use]
pub fn path(environment: &str) -> String {
    format!("clusters/{environment}/cluster.yaml")
}

/// A finding if the file has the name of another environment.
#[must_use]
pub fn misnamed(tree: &Tree, environment: &str, cluster: &Cluster) -> Option<Finding> {
    let path = path(environment);
    cluster.metadata.misnamed(&path, &tree.text(&path).unwrap_or_default(), environment)
}

/// A finding if the environment requires digests and the trainer's image has none.
#[must_use]
pub fn unpinned_image(tree: &Tree, environment: &str, cluster: &ClusterSpec) -> Option<Finding> {
    if !cluster.images_by_digest || cluster.trainer_image.contains("@sha256:") {
        return None;
    }
    let path = path(environment);
    let at = position_of(&tree.text(&path).unwrap_or_default(), "spec.trainerImage");
    let message =
        format!("the trainer's image is {}, and {environment} requires images by digest", cluster.trainer_image);
    Some(
        Finding::at(&path, at, "image-without-digest", message)
            .with_help("append @sha256:…; `slipway image push` prints it"),
    )
}

/// Reads an environment's file.
///
/// # Errors
/// The first mistake in the file, or that it does not exist.
pub fn read(tree: &Tree, environment: &str) -> Result<Cluster, Finding> {
    let path = path(environment);
    let Some(text) = tree.text(&path) else {
        let names = tree.folders_in("clusters");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = format!("environment `{environment}` has no {path}");
        return Err(Finding::at(&path, Position::START, "unknown-environment", message).with_help(suggestion(
            environment,
            "folders in clusters",
            &names,
        )));
    };
    typed(&path, &text)
}
