//! Finds, downloads, verifies and loads versions from MLflow's registry.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use slipway_digest::Digest;
use slipway_mlflow::{Artifact, Client, ModelVersion, Retry};
use slipway_names::tag;

use slipway_serving::Pin;
use slipway_signature::{CONFIG_FILE, Content, FOLDER, MODEL_FILE, WEIGHTS_FILE, digest};
use tokio::sync::Mutex;

use crate::cache::{Cache, Part};
use crate::loaded::{Loaded, NotLoaded};
use crate::refusal::Refusal;
use crate::room::Room;
use crate::trial::trial;

/// A client waits for these answers, so there are few attempts and short pauses.
const RETRY: Retry = Retry::at_most(2).pausing(Duration::from_millis(100), Duration::from_millis(100));

/// The registry, with a cache of what was downloaded.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    cache: Cache,
    workers: usize,
    room: Room,
    /// Held while a model is loaded, because the memory that it takes is measured.
    loading: Arc<Mutex<()>>,
}

impl Registry {
    /// The registry at `mlflow`, with downloads in `cache` and loaded models in `room`.
    ///
    /// # Errors
    /// When `mlflow` is not a valid address.
    pub fn new(mlflow: &str, cache: Cache, workers: usize, room: Room) -> slipway_mlflow::Result<Self> {
        Ok(Self { client: Client::at(mlflow)?.with_retry(RETRY), cache, workers, room, loading: Arc::default() })
    }

    /// Sets which versions are in service: their downloads are kept.
    pub async fn keep(&self, in_service: BTreeSet<Digest>) {
        let cache = self.cache.clone();
        if let Err(reason) = blocking(move || cache.keep(in_service)).await {
            tracing::error!(event = "not_pruned", "{reason}");
        }
    }

    /// The names of all registered models with their versions, the newest first.
    ///
    /// # Errors
    /// 503 when MLflow does not answer.
    pub async fn all(&self) -> Result<Vec<ModelVersion>, Refusal> {
        self.client.search_all_model_versions().await.map_err(|error| unavailable(&error))
    }

    /// A registered version, pinned to the digest that it was registered with; `None` if there is no such version.
    ///
    /// # Errors
    /// 404 when the version cannot be verified; 503 when MLflow does not answer.
    pub async fn pin(&self, name: &str, version: &str) -> Result<Option<Pin>, Refusal> {
        // MLflow would refuse a version that is not a number with an error of its own
        let Ok(number) = version.parse::<u64>() else { return Ok(None) };
        let found = match self.client.get_model_version(name, version).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(unavailable(&error)),
        };
        match found.tags.get(tag::DIGEST).and_then(|digest| digest.parse::<Digest>().ok()) {
            Some(digest) => Ok(Some(Pin { name: found.name, version: number, digest })),
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
    pub async fn load(&self, pin: &Pin) -> Result<Arc<Loaded>, NotLoaded> {
        let _in_use = self.cache.use_now(pin.digest);
        let folder = self.cache.of(&pin.digest);
        let had = async || {
            if !self.is_cached(pin, &folder).await? {
                self.download(pin, &folder).await?;
            }
            slipway_signature::content(&folder).map_err(|error| error.to_string())
        };
        let content = had().await.map_err(NotLoaded::Failed)?;
        let _alone = self.loading.lock().await;
        let found = match content {
            Content::Bundle => None,
            Content::Servable => {
                let failed = |reason| NotLoaded::Failed(format!("version {} of {}: {reason}", pin.version, pin.name));
                Some(trial(&folder, self.room.free()).await.map_err(failed)?)
            }
        };
        let (workers, room, pin) = (self.workers, self.room.clone(), pin.clone());
        let loaded = blocking(move || Loaded::load(&pin, &folder, content, found, workers, &room)).await;
        loaded.map_err(NotLoaded::Failed)?.map(Arc::new)
    }

    /// Whether the cache holds the version. Removes a damaged copy.
    async fn is_cached(&self, pin: &Pin, folder: &Path) -> Result<bool, String> {
        let (pinned, folder) = (pin.digest, folder.to_owned());
        blocking(move || {
            if !folder.is_dir() {
                return Ok(false);
            }
            if digest(&folder).is_ok_and(|found| found == pinned) {
                return Ok(true);
            }
            tracing::warn!(
                event = "damaged",
                "{} does not have the digest {pinned}; it is downloaded again",
                folder.display()
            );
            std::fs::remove_dir_all(&folder).map_err(|error| format!("removing {}: {error}", folder.display()))?;
            Ok(false)
        })
        .await?
    }

    /// Downloads a version's files into a temporary folder, verifies them, and renames the folder: it is complete or not there.
    async fn download(&self, pin: &Pin, folder: &Path) -> Result<(), String> {
        let failed = |error: slipway_mlflow::Error| error.to_string();
        let uri = self.client.download_uri(&pin.name, &pin.version.to_string()).await.map_err(failed)?;
        let listed = self.client.list_artifacts(&uri).await.map_err(failed)?;
        let files = needed(&listed)
            .map_err(|missing| format!("the registry lists no {missing} of version {} of {}", pin.version, pin.name))?;
        let part = self.part(pin, files.iter().map(|file| file.size).sum()).await?;
        for Artifact { path, size } in files {
            let file = part.path().join(path);
            if let Some(folder) = file.parent() {
                let created = tokio::fs::create_dir_all(folder).await;
                created.map_err(|error| format!("writing {}: {error}", folder.display()))?;
            }
            self.client.download_artifact(&uri, path, *size, &file).await.map_err(failed)?;
        }
        let (pin, folder) = (pin.clone(), folder.to_owned());
        blocking(move || {
            let found = digest(part.path()).map_err(|error| error.to_string())?;
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

    /// A folder for a download of this many bytes.
    async fn part(&self, pin: &Pin, bytes: u64) -> Result<Part, String> {
        let cache = self.cache.clone();
        let part = blocking(move || cache.part(bytes)).await?;
        part.map_err(|reason| format!("version {} of {} cannot be downloaded: {reason}", pin.version, pin.name))
    }
}

/// The files of a version that are needed, of those that the registry lists.
///
/// # Errors
/// The file that is missing.
fn needed(listed: &[Artifact]) -> Result<Vec<&Artifact>, &'static str> {
    let there = |name: &str| listed.iter().find(|artifact| artifact.path == name && artifact.size > 0);
    if there(MODEL_FILE).is_some() {
        let inside = |artifact: &&Artifact| artifact.path.split_once('/').is_some_and(|(folder, _)| folder == FOLDER);
        return Ok(listed.iter().filter(inside).collect());
    }
    [CONFIG_FILE, WEIGHTS_FILE].into_iter().map(|file| there(file).ok_or(file)).collect()
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
