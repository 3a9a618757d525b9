//! The dataset that a trial names: what both kinds of worker check of it, and say of it in MLflow.

use serde_json::{Value, json};
use slipway_dataset::Digest;
use slipway_experiment::DatasetRef;
use slipway_mlflow::{DatasetInput, short_digest};
use slipway_names::env;

use crate::{Failure, Result};

/// The digest of a trial's dataset.
///
/// # Errors
/// [`Failure::Input`] when it is not a digest.
pub fn dataset_digest(dataset: &DatasetRef) -> Result<Digest> {
    dataset.digest.parse().map_err(|error| Failure::Input(format!("{}: dataset.digest: {error}", env::TRIAL)))
}

/// Checks that the dataset with the trial's digest is `found`, the one that the trial names.
///
/// # Errors
/// [`Failure::Input`] when it is another one.
pub fn check_dataset_name(dataset: &DatasetRef, found: &str) -> Result<()> {
    let DatasetRef { name, digest } = dataset;
    if name == found {
        return Ok(());
    }
    Err(Failure::Input(format!(
        "{} names the dataset `{name}`, but {digest} is `{found}`: correct `spec.dataset` or `datasets/{name}.yaml`",
        env::TRIAL
    )))
}

/// The dataset in MLflow's form. `schema` and `profile` are MLflow's, too.
pub fn dataset_input(dataset: &DatasetRef, schema: Option<&Value>, profile: &Value) -> DatasetInput {
    let bucket = std::env::var(env::DATASETS).unwrap_or_else(|_| "s3://datasets".to_owned());
    let hex = dataset.digest.trim_start_matches("sha256:");
    let source = json!({
        "uri": format!("{}/manifests/sha256/{hex}.json", bucket.trim_end_matches('/')),
        "digest": dataset.digest,
    });
    DatasetInput {
        name: dataset.name.clone(),
        digest: short_digest(&dataset.digest).to_owned(),
        source_type: "s3".to_owned(),
        source: source.to_string(),
        schema: schema.map(Value::to_string),
        profile: Some(profile.to_string()),
        context: Some("training".to_owned()),
    }
}
