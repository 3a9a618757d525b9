//! The dataset that a trial names, fetched by its digest.

use slipway_dataset::{Dataset, RetryBudget, Split, Store};
use slipway_experiment::DatasetRef;
use slipway_job::{cache, check_dataset_name, dataset_digest};

use crate::failure::Result;
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
    let digest = dataset_digest(&dataset)?;
    let store = Store::from_env(RetryBudget::Job).await?;
    let fetched = store.fetch(&digest, &cache()).await?;
    check_dataset_name(&dataset, &fetched.name)?;
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
