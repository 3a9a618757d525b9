//! Versions out of MLflow's registry: found, downloaded, verified, loaded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use slipway_mlflow::{Client, ModelVersion, Retry};
use slipway_model::{CONFIG_FILE, WEIGHTS_FILE, bundle_digest, digest_of};

use crate::loaded::Loaded;
use crate::pins::{Pin, is_digest};
use crate::refusal::Refusal;

/// The tag that holds a version's digest.
const DIGEST: &str = "slipway.digest";
/// What is needed of a version's files.
const FILES: [&str; 2] = [CONFIG_FILE, WEIGHTS_FILE];
/// A client waits for these answers, so they come soon or not.
const RETRY: Retry =
    Retry { attempts: 2, first_pause: Duration::from_millis(100), longest_pause: Duration::from_millis(100) };

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
    /// When `mlflow` is no address.
    pub fn new(mlflow: &str, cache: PathBuf, workers: usize) -> slipway_mlflow::Result<Self> {
        Ok(Self { client: Client::new(mlflow)?.with_retry(RETRY), folder: cache.join("models"), workers })
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
        // What is no number, MLflow would refuse with other words.
        let found = match version.parse::<u32>() {
            Ok(_) => self.client.get_model_version(name, version).await.map(Some),
            Err(_) => Ok(None),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(unavailable(&error)),
        };
        let Some(found) = found else {
            let known = self.versions(name).await?;
            let known: Vec<&str> = known.iter().map(|version| version.version.as_str()).collect();
            return Err(Refusal::missing(match known.as_slice() {
                [] => format!("there is no model {name}"),
                known => format!("{name} has no version {version}; it has {}", known.join(", ")),
            }));
        };
        match found.tags.get(DIGEST) {
            Some(digest) if is_digest(digest) => {
                Ok(Pin { name: found.name, version: found.version, digest: digest.clone() })
            }
            _ => Err(Refusal::missing(format!(
                "version {version} of {name} has no {DIGEST} tag, so it cannot be verified and is not served"
            ))),
        }
    }

    /// Loads a pinned version: out of the cache when it is there, else out of the registry; verified either way.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub async fn load(&self, pin: &Pin) -> Result<Arc<Loaded>, String> {
        let folder = self.folder.join(pin.digest.replace(':', "-"));
        if !self.is_cached(pin, &folder).await? {
            self.download(pin, &folder).await?;
        }
        let (workers, pin) = (self.workers, pin.clone());
        blocking(move || {
            Loaded::load(&pin.name, &pin.version, &pin.digest, &folder, workers).map_err(|error| error.to_string())
        })
        .await?
        .map(Arc::new)
    }

    /// Whether the cache holds the version. What was damaged there is removed.
    async fn is_cached(&self, pin: &Pin, folder: &Path) -> Result<bool, String> {
        let (digest, folder) = (pin.digest.clone(), folder.to_owned());
        blocking(move || {
            if !folder.is_dir() {
                return Ok(false);
            }
            if bundle_digest(&folder).is_ok_and(|found| found == digest) {
                return Ok(true);
            }
            tracing::warn!(event = "damaged", "{} is not {digest}; it is downloaded again", folder.display());
            std::fs::remove_dir_all(&folder).map_err(|error| format!("removing {}: {error}", folder.display()))?;
            Ok(false)
        })
        .await?
    }

    async fn download(&self, pin: &Pin, folder: &Path) -> Result<(), String> {
        let uri = self.client.download_uri(&pin.name, &pin.version).await.map_err(|error| error.to_string())?;
        let mut contents = Vec::new();
        for file in FILES {
            contents.push(self.client.download_artifact(&uri, file).await.map_err(|error| error.to_string())?);
        }
        let (pin, folder) = (pin.clone(), folder.to_owned());
        blocking(move || {
            let found = digest_of(&contents[0], &contents[1]);
            if found != pin.digest {
                return Err(mismatch(&pin, &found));
            }
            place(&folder, &contents).map_err(|error| format!("writing {}: {error}", folder.display()))
        })
        .await?
    }
}

/// Writes a version's files whole or not at all: the folder gets its name when it is complete.
fn place(folder: &Path, contents: &[impl AsRef<[u8]>]) -> std::io::Result<()> {
    /// Tells apart two downloads of one version at the same time.
    static PARTS: AtomicU64 = AtomicU64::new(0);
    let part = folder.with_extension(format!(
        "part-{}-{}",
        std::process::id(),
        PARTS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    ));
    std::fs::create_dir_all(&part)?;
    for (file, content) in FILES.iter().zip(contents) {
        std::fs::write(part.join(file), content)?;
    }
    match std::fs::rename(&part, folder) {
        // Another request was quicker; both hold the same.
        Err(_) if folder.is_dir() => std::fs::remove_dir_all(&part),
        other => other,
    }
}

/// Files and models are read beside the threads that answer requests.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

fn mismatch(pin: &Pin, found: &str) -> String {
    format!(
        "version {} of {} has the digest {found}, and {} is pinned: it is not served",
        pin.version, pin.name, pin.digest
    )
}

fn unavailable(error: &slipway_mlflow::Error) -> Refusal {
    Refusal::unavailable(error.to_string())
}
