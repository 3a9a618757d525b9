//! Finds, downloads, verifies and loads versions from MLflow's registry.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use slipway_digest::Digest;
use slipway_mlflow::{Client, ModelVersion, Retry};
use slipway_model::{CONFIG_FILE, WEIGHTS_FILE, bundle_digest};
use slipway_names::tag;

use slipway_serving::Pin;

use crate::loaded::Loaded;
use crate::refusal::Refusal;

/// The files of a version that are needed.
const FILES: [&str; 2] = [CONFIG_FILE, WEIGHTS_FILE];
/// A client waits for these answers, so there are few attempts and short pauses.
const RETRY: Retry = Retry::at_most(2).pausing(Duration::from_millis(100), Duration::from_millis(100));

/// The registry, with a cache of what was downloaded.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    /// `<cache>/models`, with a folder `sha256-<hex>` for each version.
    folder: PathBuf,
    workers: usize,
}

impl Registry {
    /// The registry at `mlflow`, with downloads in `cache`.
    ///
    /// # Errors
    /// When `mlflow` is not a valid address.
    pub fn new(mlflow: &str, cache: PathBuf, workers: usize) -> slipway_mlflow::Result<Self> {
        Ok(Self { client: Client::at(mlflow)?.with_retry(RETRY), folder: cache.join("models"), workers })
    }

    /// The versions of a model, the newest first; empty when there is no such model.
    ///
    /// # Errors
    /// 503 when MLflow does not answer.
    pub async fn versions(&self, name: &str) -> Result<Vec<ModelVersion>, Refusal> {
        self.client.search_model_versions(name).await.map_err(|error| unavailable(&error))
    }

    /// The names of all registered models with their versions, the newest first.
    ///
    /// # Errors
    /// 503 when MLflow does not answer.
    pub async fn all(&self) -> Result<Vec<ModelVersion>, Refusal> {
        self.client.search_all_model_versions().await.map_err(|error| unavailable(&error))
    }

    /// A registered version, pinned to the digest that it was registered with.
    ///
    /// # Errors
    /// 404 when there is no such version; 503 when it cannot be verified or MLflow does not answer.
    pub async fn pin(&self, name: &str, version: &str) -> Result<Pin, Refusal> {
        // MLflow would refuse a version that is not a number with an error of its own
        let found = match version.parse::<u64>() {
            Ok(number) => match self.client.get_model_version(name, version).await {
                Ok(found) => Some((number, found)),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(unavailable(&error)),
            },
            Err(_) => None,
        };
        let Some((number, found)) = found else {
            let versions = self.versions(name).await?;
            let numbers: Vec<&str> = versions.iter().map(|version| version.version.as_str()).collect();
            return Err(Refusal::missing(match numbers.as_slice() {
                [] => format!("there is no model {name}"),
                numbers => format!("{name} has no version {version}; it has {}", numbers.join(", ")),
            }));
        };
        match found.tags.get(tag::DIGEST).and_then(|digest| digest.parse::<Digest>().ok()) {
            Some(digest) => Ok(Pin { name: found.name, version: number, digest }),
            None => Err(Refusal::missing(format!(
                "version {version} of {name} has no digest in its tag {}, so it cannot be verified and is not served",
                tag::DIGEST
            ))),
        }
    }

    /// Loads a pinned version from the cache if it is there, otherwise from the registry. It is verified in both cases.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub async fn load(&self, pin: &Pin) -> Result<Arc<Loaded>, String> {
        let folder = self.folder.join(format!("sha256-{}", pin.digest.hex()));
        if !self.is_cached(pin, &folder).await? {
            self.download(pin, &folder).await?;
        }
        let (workers, pin) = (self.workers, pin.clone());
        blocking(move || Loaded::load(&pin, &folder, workers).map_err(|error| error.to_string())).await?.map(Arc::new)
    }

    /// Whether the cache holds the version. Removes a damaged copy.
    async fn is_cached(&self, pin: &Pin, folder: &Path) -> Result<bool, String> {
        let (digest, folder) = (pin.digest, folder.to_owned());
        blocking(move || {
            if !folder.is_dir() {
                return Ok(false);
            }
            if bundle_digest(&folder).is_ok_and(|found| found == digest) {
                return Ok(true);
            }
            tracing::warn!(
                event = "damaged",
                "{} does not have the digest {digest}; it is downloaded again",
                folder.display()
            );
            std::fs::remove_dir_all(&folder).map_err(|error| format!("removing {}: {error}", folder.display()))?;
            Ok(false)
        })
        .await?
    }

    /// Downloads a version's files into a temporary folder, verifies them, and renames the folder: it is complete or not there.
    async fn download(&self, pin: &Pin, folder: &Path) -> Result<(), String> {
        let uri =
            self.client.download_uri(&pin.name, &pin.version.to_string()).await.map_err(|error| error.to_string())?;
        let writing = |error: std::io::Error| format!("writing {}: {error}", folder.display());
        tokio::fs::create_dir_all(&self.folder).await.map_err(writing)?;
        let part = tempfile::Builder::new().prefix(".part-").tempdir_in(&self.folder).map_err(writing)?;
        for file in FILES {
            let to = part.path().join(file);
            self.client.download_artifact(&uri, file, &to).await.map_err(|error| error.to_string())?;
        }
        let (pin, folder) = (pin.clone(), folder.to_owned());
        blocking(move || {
            let found = bundle_digest(part.path()).map_err(|error| error.to_string())?;
            if found != pin.digest {
                return Err(mismatch(&pin, &found));
            }
            match std::fs::rename(part.path(), &folder) {
                // another request was faster, and its folder holds the same files
                Err(_) if folder.is_dir() => Ok(()),
                other => other.map_err(|error| format!("writing {}: {error}", folder.display())),
            }
        })
        .await?
    }
}

/// Runs work that blocks outside the threads that answer requests.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

fn mismatch(pin: &Pin, found: &Digest) -> String {
    format!(
        "version {} of {} has the digest {found}, but {} is pinned, so it is not served",
        pin.version, pin.name, pin.digest
    )
}

fn unavailable(error: &slipway_mlflow::Error) -> Refusal {
    Refusal::unavailable(error.to_string())
}
