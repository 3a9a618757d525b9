//! The pipeline as a job: each dataset is built once, and then the program ends. It gives the bytes that `slipway dataset build` gives at home, since
//! all of them call `slipway_pipeline::build`.

use std::path::Path;

use slipway_dataset::Store;
use slipway_experiment::Dataset;
use slipway_pipeline::{Built, Temporary, build};
use slipway_service::Followed;

use crate::declared::{Declared, Files};
use crate::error::{Error, Result};
use crate::watch::is_of_the_data;

/// Why not everything was built. What could be built was, whatever became of the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// What was asked for, what is declared, or what is in the data: trying again comes to the same.
    #[error("{0}")]
    Input(String),
    /// Something cannot be reached, or not yet.
    #[error("{0}")]
    Unavailable(String),
}

/// Builds these datasets as the newest commit of the default branch declares them. Without a name: those that have a pipeline and no monitor, since the
/// monitor builds the others.
///
/// # Errors
/// [`Failed`], when each of them was tried. Without a name also when a declaration is wrong, since that may be one of those that were to be built.
pub async fn build_once(followed: &Followed, store: &Store, cache: &Path, names: &[String]) -> Result<(), Failed> {
    let declared = newest(followed).await.map_err(|error| Failed::Unavailable(error.to_string()))?;
    let mut failures = Vec::new();
    for dataset in chosen(&declared.datasets, names)? {
        match one(followed, store, cache, &declared, dataset).await {
            Ok(built) => {
                let (name, digest) = (&dataset.name, built.digest);
                let (items, aside) = (built.report.counts.total(), built.report.set_aside.count);
                let now = if built.moved { "is now" } else { "is already" };
                tracing::info!(event = "built", "{name} {now} {digest}: {items} items, {aside} set aside");
            }
            Err(error) => {
                tracing::error!(event = "failed", "{}: {error}", dataset.name);
                failures.push((dataset.name.as_str(), error));
            }
        }
    }
    // somebody who names datasets has not asked for the others
    let invalid: &[String] = if names.is_empty() { &declared.invalid } else { &[] };
    if failures.is_empty() && invalid.is_empty() {
        return Ok(());
    }
    let is_hopeless = |error: &Error| matches!(error, Error::Pipeline(error) if is_of_the_data(error));
    let is_input = failures.iter().all(|(_, error)| is_hopeless(error));
    let failed = failures.iter().map(|(name, error)| format!("{name}: {error}"));
    let said: Vec<String> = failed.chain(invalid.iter().cloned()).collect();
    let said = format!("not built: {}", said.join("; "));
    Err(if is_input { Failed::Input(said) } else { Failed::Unavailable(said) })
}

async fn newest(followed: &Followed) -> Result<Declared> {
    let branch = followed.remote.forge.default_branch().await?;
    match followed.fetch(&branch).await? {
        Some(commit) => Declared::read(&followed.git, &commit, |dataset| dataset.spec.pipeline.is_some()).await,
        // an empty repository declares nothing
        None => Ok(Declared::default()),
    }
}

/// Those of the datasets with a pipeline that are to be built. A monitor that is switched off is a monitor: `enabled: false` says that nothing is built,
/// and an hourly job must not do what it forbids. Who names the dataset wants it all the same.
fn chosen<'a>(datasets: &'a [Dataset], names: &[String]) -> Result<Vec<&'a Dataset>, Failed> {
    if names.is_empty() {
        return Ok(datasets.iter().filter(|dataset| dataset.spec.monitor.is_none()).collect());
    }
    let named = names.iter().map(|name| {
        let found = datasets.iter().find(|dataset| dataset.name == *name);
        found.ok_or_else(|| {
            let there: Vec<&str> = datasets.iter().map(|dataset| dataset.name.as_str()).collect();
            Failed::Input(format!(
                "no valid dataset {name} with a pipeline is declared; there are: {}",
                there.join(", ")
            ))
        })
    });
    named.collect()
}

async fn one(
    followed: &Followed,
    store: &Store,
    cache: &Path,
    declared: &Declared,
    dataset: &Dataset,
) -> Result<Built> {
    let temporary = Temporary::new(&cache.join("temporary"))?;
    let files = Files::put(&followed.git, &declared.commit, dataset, &cache.join("files"), temporary.path()).await?;
    let places = files.places(dataset, cache, temporary.path());
    Ok(build(dataset, &places, store, |step| tracing::debug!("{}: {step:?}", dataset.name)).await?)
}
