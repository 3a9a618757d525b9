//! Where the checkpoints of a job are, and who may write there.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use slipway_dataset::{Objects, RetryBudget};
use slipway_names::env;

use crate::attempt::attempt_of;
use crate::manifest::{MOST, Manifest};
use crate::{Attempt, Error, Result};

/// How often a write is tried that others prevent.
const TRIES: u32 = 40;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// The checkpoints of one job. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    objects: Objects,
    job: String,
}

/// A manifest as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) manifest: Manifest,
    /// `None` if there is none yet.
    pub(crate) tag: Option<String>,
}

impl Checkpoints {
    /// Those of a job in the store that `SLIPWAY_CHECKPOINT_STORE` and AWS's variables name; `None` if it is not set. Requests are repeated for
    /// 12 minutes while the store is away, except those that [`Attempt::publish`] sends.
    ///
    /// # Errors
    /// If a variable is malformed.
    pub async fn from_env(job: &str) -> Result<Option<Self>> {
        let uri = std::env::var(env::CHECKPOINT_STORE).unwrap_or_default();
        if uri.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self::new(Objects::from_env(&uri, RetryBudget::Job).await?, job)))
    }

    /// Those of a job below these objects. The job's name is that of its folder.
    #[must_use]
    pub fn new(objects: Objects, job: &str) -> Self {
        Self { objects, job: job.to_owned() }
    }

    /// Takes the checkpoints for a new attempt. From now on, no earlier one can write.
    ///
    /// A manifest that cannot be read is replaced, and the log says so: what it named is lost, and the job begins anew.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn claim(&self) -> Result<Attempt> {
        let writer = format!("{:016x}", RandomState::new().build_hasher().finish());
        for _ in 0..TRIES {
            let seen = self.look().await?;
            let claimed = Manifest { attempt: seen.manifest.attempt + 1, writer: writer.clone(), ..seen.manifest };
            if let Some(tag) = self.swap(&claimed, seen.tag.as_deref()).await? {
                return Ok(Attempt::new(self.with_budget(RetryBudget::Interactive), self.clone(), claimed, tag));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(self.busy())
    }

    /// Removes everything that the job has stored, whichever attempt that was: for a job that is known to be done. An attempt that ends by itself has
    /// its [`Remover`](crate::Remover). May be called again. Gives up after seconds while the store is away.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses; what could not be removed stays, and is no longer used.
    pub async fn remove(&self) -> Result<()> {
        let quick = self.with_budget(RetryBudget::Interactive);
        let Seen { manifest, .. } = quick.look().await?;
        quick.remove_up_to(&manifest, u64::MAX).await
    }

    /// Removes the manifest, what it names, and what the attempts up to the `last` one have left besides.
    pub(crate) async fn remove_up_to(&self, manifest: &Manifest, last: u64) -> Result<()> {
        self.objects.remove(&self.key()).await?;
        let mut keys: BTreeSet<String> = manifest.keys().collect();
        let listed = self.stored().await;
        let is_of_them = |key: &&String| attempt_of(&self.job, key).is_none_or(|attempt| attempt <= last);
        keys.extend(listed.iter().flatten().filter(is_of_them).cloned());
        for key in &keys {
            self.objects.remove(key).await?;
        }
        listed.map(drop)
    }

    /// The manifest as it is.
    pub(crate) async fn look(&self) -> Result<Seen> {
        let empty = |tag| Seen { manifest: Manifest::empty(&self.job), tag };
        let Some(found) = self.objects.read(&self.key(), MOST).await? else { return Ok(empty(None)) };
        Ok(match Manifest::parse(&self.job, &found.bytes) {
            Ok(manifest) => Seen { manifest, tag: Some(found.tag) },
            Err(reason) => {
                let location = self.location();
                tracing::warn!(event = "checkpoints_unusable", location, "the manifest cannot be used: {reason}");
                empty(Some(found.tag))
            }
        })
    }

    /// Replaces the manifest that has this tag (`None`: that does not exist), and gives the new one's tag; `None` if it was another one.
    pub(crate) async fn swap(&self, to: &Manifest, tag: Option<&str>) -> Result<Option<String>> {
        let bytes = to.to_bytes().map_err(|error| self.unusable(to, error.to_string()))?;
        if bytes.len() > MOST {
            return Err(self.unusable(to, format!("it has too many files: its manifest has {} bytes", bytes.len())));
        }
        for _ in 0..TRIES {
            self.objects.write_if(&self.key(), &bytes, tag).await?;
            // the answer may have been lost, so what is there decides, and not what was said
            match self.objects.read(&self.key(), MOST).await? {
                Some(found) if found.bytes == bytes => return Ok(Some(found.tag)),
                found if found.as_ref().map(|found| found.tag.as_str()) == tag => {
                    // a write that was on its way and came to nothing
                    tokio::time::sleep(PAUSE).await;
                }
                _ => return Ok(None),
            }
        }
        Err(self.busy())
    }

    /// The keys of everything that is stored besides the manifest.
    pub(crate) async fn stored(&self) -> Result<Vec<String>> {
        let keys = self.objects.list(&format!("{}/", self.job)).await?;
        Ok(keys.into_iter().filter(|key| *key != self.key()).collect())
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    pub(crate) fn job(&self) -> &str {
        &self.job
    }

    /// Where the manifest is, for messages.
    #[must_use]
    pub fn location(&self) -> String {
        self.objects.location(&self.key())
    }

    fn with_budget(&self, budget: RetryBudget) -> Self {
        Self { objects: self.objects.with_budget(budget), job: self.job.clone() }
    }

    fn key(&self) -> String {
        format!("{}/manifest.json", self.job)
    }

    fn busy(&self) -> Error {
        Error::Busy { location: self.location() }
    }

    fn unusable(&self, manifest: &Manifest, reason: String) -> Error {
        let name = manifest.checkpoints.first().map_or_else(String::new, |checkpoint| checkpoint.name.clone());
        Error::Unusable { job: self.job.clone(), name, reason }
    }
}
