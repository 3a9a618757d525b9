//! The dataset that a trial names, fetched by its digest.

use std::path::PathBuf;

use slipway_dataset::{Dataset, Digest, Error, RetryBudget, Split, Store};
use slipway_experiment::DatasetRef;
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

/// `SLIPWAY_CACHE`, or a folder in the system's temporary folder. A worker writes nowhere else.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os(env::CACHE)
        .filter(|path| !path.is_empty())
        .map_or_else(|| std::env::temp_dir().join("slipway-cache"), PathBuf::from)
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

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            error if error.is_unavailable() => Self::Service(error.to_string()),
            // the certificate may have been renewed when another pod starts
            Error::Tls { .. } => Self::Service(error.to_string()),
            // a full disk, for example: another node may have more room
            Error::File { .. } => Self::Unexpected(error.to_string()),
            error => Self::Input(error.to_string()),
        }
    }
}
