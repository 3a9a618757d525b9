//! The dataset that a trial names, as verified files.

use slipway_dataset::{Digest, RetryBudget, Store, Unpacked};
use slipway_experiment::DatasetRef;
use slipway_job::{Failure, Result, cache};
use slipway_mlflow::{DatasetInput, short_digest};
use slipway_names::env;

/// Fetches the dataset into the cache, or verifies what is there. Waits for minutes if the store is down.
pub(crate) async fn unpack(dataset: DatasetRef) -> Result<Unpacked> {
    let digest: Digest =
        dataset.digest.parse().map_err(|error| Failure::Input(format!("{}: dataset.digest: {error}", env::TRIAL)))?;
    let store = Store::from_env(RetryBudget::Job).await?;
    let unpacked = store.unpack(&digest, &cache()).await?;
    let found = &unpacked.manifest.name;
    if *found != dataset.name {
        return Err(Failure::Input(format!(
            "{} names the dataset `{}`, but {digest} is `{found}`: correct `spec.dataset` or `datasets/{}.yaml`",
            env::TRIAL,
            dataset.name,
            dataset.name
        )));
    }
    Ok(unpacked)
}

/// The dataset in MLflow's form.
pub(crate) fn input(dataset: &DatasetRef, unpacked: &Unpacked) -> DatasetInput {
    let bucket = std::env::var(env::DATASETS).unwrap_or_else(|_| "s3://datasets".to_owned());
    let hex = dataset.digest.trim_start_matches("sha256:");
    let source = serde_json::json!({
        "uri": format!("{}/manifests/sha256/{hex}.json", bucket.trim_end_matches('/')),
        "digest": dataset.digest,
    });
    let (manifest, counts) = (&unpacked.manifest, unpacked.manifest.counts());
    let profile = serde_json::json!({
        "format": manifest.format(), "shape": manifest.shape(), "classes": manifest.classes(),
        "train": counts.train, "validation": counts.validation, "test": counts.test,
    });
    DatasetInput {
        name: dataset.name.clone(),
        digest: short_digest(&dataset.digest).to_owned(),
        source_type: "s3".to_owned(),
        source: source.to_string(),
        schema: None,
        profile: Some(profile.to_string()),
        context: Some("training".to_owned()),
    }
}
