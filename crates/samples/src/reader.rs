//! What is there, and its content.

use std::collections::BTreeSet;

use slipway_dataset::Store;

use crate::decode::decode;
use crate::file::folder;
use crate::{Error, File, Hour, Result, Sample};

/// A file of samples is not larger. Its writer holds it in memory before.
const LARGEST: usize = 256 << 20;

/// Reads samples. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Reader {
    store: Store,
}

impl Reader {
    /// Reads from this bucket, such as `Store::from_env(…).await?.beside(slipway_samples::BUCKET)`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The files of a model with answers of these hours, both included, of one version or of all. By hour, and in an hour by their first
    /// answer. None if there is no such bucket: then nothing was sampled yet. The newest hour grows while it lasts, and for as long after
    /// its end as its servers wait with writing.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn list(&self, model: &str, version: Option<u64>, first: Hour, last: Hour) -> Result<Vec<File>> {
        let mut prefix = folder(model);
        if let Some(version) = version {
            prefix.push_str(&format!("{version}/"));
            if first.day() == last.day() {
                prefix.push_str(&format!("{}/", first.day()));
            }
        }
        let mut files = Vec::new();
        self.each(&prefix, |file| {
            if (first..=last).contains(&file.hour) && version.is_none_or(|version| file.version == version) {
                files.push(file);
            }
        })
        .await?;
        files.sort_by(|a, b| (a.hour, a.first, &a.replica, &a.unique).cmp(&(b.hour, b.first, &b.replica, &b.unique)));
        Ok(files)
    }

    /// The models of which there are samples, with the versions that have answered.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn models(&self) -> Result<BTreeSet<(String, u64)>> {
        let mut models = BTreeSet::new();
        self.each("", |file| {
            models.insert((file.model, file.version));
        })
        .await?;
        Ok(models)
    }

    /// The samples of a file, in the order in which they were answered.
    ///
    /// # Errors
    /// [`Error::Gone`] if it was deleted since it was listed, [`Error::Malformed`] if it is something else, or larger than a file of samples; if the store
    /// cannot be reached or refuses.
    pub async fn read(&self, file: &File) -> Result<Vec<Sample>> {
        let key = file.key();
        let uri = || format!("{}/{key}", self.store.uri());
        let malformed = |reason: String| Error::Malformed { uri: uri(), reason };
        if file.bytes > LARGEST as u64 {
            return Err(malformed(format!("it has {} bytes; at most {LARGEST} are read", file.bytes)));
        }
        let bytes = match self.store.read_own(&key, LARGEST).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(Error::Gone { uri: uri() }),
            // larger than it was listed
            Err(slipway_dataset::Error::Source { reason, .. }) => return Err(malformed(reason)),
            Err(error) => return Err(error.into()),
        };
        // off the threads that wait for the network; the library may also panic on what is damaged
        let decoded = tokio::task::spawn_blocking(move || decode(bytes)).await;
        let decoded = decoded.unwrap_or_else(|error| Err(error.to_string()));
        decoded.map_err(malformed)
    }

    /// Calls `each` with every file whose key begins with this.
    pub(crate) async fn each(&self, prefix: &str, mut each: impl FnMut(File)) -> Result<()> {
        let listed = self.store.list_own(prefix, |object| {
            if let Some(file) = File::of(&object.key, object.size) {
                each(file);
            }
            Ok::<_, Error>(())
        });
        match listed.await {
            Err(Error::Store(slipway_dataset::Error::Missing { .. })) => Ok(()),
            other => other,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
}
