//! The dataset that a trial names, fetched by its digest.

use slipway_dataset::{Dataset, Digest, RetryBudget, Split, Store};
use slipway_experiment::DatasetRef;
use slipway_job::cache;
use slipway_names::env;

use crate::failure::{Failure, Result};
use crate::images::Images;

/// The three splits of a dataset.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) classes: usize,
    pub(crate) train: Images,
    pub(crate) validation: Images,
    pub(crate) test: Images,
}

/// Fetches the dataset from the cache, or from the object store that the environment names. Waits for minutes if the store is down.
/// Everything that is read is verified.
pub(crate) async fn fetch(dataset: DatasetRef) -> Result<Dataset> {
    let digest: Digest =
        dataset.digest.parse().map_err(|error| Failure::Input(format!("{}: dataset.digest: {error}", env::TRIAL)))?;
    let store = Store::from_env(RetryBudget::Job).await?;
    let fetched = store.fetch(&digest, &cache()).await?;
    if fetched.name != dataset.name {
        return Err(Failure::Input(format!(
            "{} names the dataset `{}`, but {digest} is `{}`: correct `spec.dataset` or `datasets/{}.yaml`",
            env::TRIAL,
            dataset.name,
            fetched.name,
            dataset.name
        )));
    }
    Ok(fetched)
}

impl Data {
    /// Converts a fetched dataset into tensors.
    pub(crate) fn new(dataset: &Dataset) -> Result<Self> {
        let classes = dataset.classes;
        let shape = dataset.shape;
        let images = |split: &Split| Images::new(&split.images, &split.labels, shape, classes);
        Ok(Self {
            classes,
            train: images(&dataset.train)?,
            validation: images(&dataset.validation)?,
            test: images(&dataset.test)?,
        })
    }
}
