//! The dataset that a trial names, as verified files.

use serde_json::json;
use slipway_dataset::{RetryBudget, Store, Unpacked};
use slipway_experiment::DatasetRef;
use slipway_job::{Result, cache, check_dataset_name, dataset_digest, dataset_input};
use slipway_mlflow::DatasetInput;

/// Fetches the dataset into the cache, or verifies what is there. Waits for minutes if the store is down.
pub(crate) async fn unpack(dataset: DatasetRef) -> Result<Unpacked> {
    let digest = dataset_digest(&dataset)?;
    let store = Store::from_env(RetryBudget::Job).await?;
    let unpacked = store.unpack(&digest, &cache()).await?;
    check_dataset_name(&dataset, &unpacked.manifest.name)?;
    Ok(unpacked)
}

/// The dataset in MLflow's form.
pub(crate) fn input(dataset: &DatasetRef, unpacked: &Unpacked) -> DatasetInput {
    let (manifest, counts) = (&unpacked.manifest, unpacked.manifest.counts());
    let profile = json!({
        "format": manifest.format(), "shape": manifest.shape(), "classes": manifest.classes(),
        "train": counts.train, "validation": counts.validation, "test": counts.test,
    });
    dataset_input(dataset, None, &profile)
}
