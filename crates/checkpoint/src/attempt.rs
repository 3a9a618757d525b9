//! One attempt of a job, which alone writes its checkpoints.

use std::collections::{BTreeMap, BTreeSet};

use slipway_dataset::Digest;

use crate::manifest::{Checkpoint, Manifest, Shard};
use crate::place::Seen;
use crate::{Checkpoints, Content, Error, Result};

/// How many checkpoints are kept.
const KEPT: usize = 2;

/// The right to write a job's checkpoints, until another attempt claims it.
#[derive(Debug)]
pub struct Attempt {
    /// Gives up after seconds, because the next checkpoint follows.
    quick: Checkpoints,
    /// Waits for minutes.
    pub(crate) patient: Checkpoints,
    pub(crate) manifest: Manifest,
    tag: String,
    /// Shards that are in the store: this attempt has stored or verified them.
    pub(crate) stored: BTreeMap<Digest, Shard>,
    /// Keys that nobody needs, and that may or may not be in the store: they are to be removed.
    unneeded: BTreeSet<String>,
    /// Whether it is known what earlier attempts left behind.
    is_swept: bool,
}

/// The right to remove what an attempt has stored, apart from the [`Attempt`] that stores.
#[derive(Debug, Clone)]
pub struct Remover {
    checkpoints: Checkpoints,
    attempt: u64,
    writer: String,
}

impl Attempt {
    pub(crate) fn new(quick: Checkpoints, patient: Checkpoints, manifest: Manifest, tag: String) -> Self {
        Self { quick, patient, manifest, tag, stored: BTreeMap::new(), unneeded: BTreeSet::new(), is_swept: false }
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.manifest.attempt
    }

    /// The right to remove what this attempt has stored, once the job is over.
    #[must_use]
    pub fn remover(&self) -> Remover {
        let Manifest { attempt, writer, .. } = self.manifest.clone();
        Remover { checkpoints: self.quick.clone(), attempt, writer }
    }

    /// Stores a checkpoint. It is complete when this returns, or it does not exist. The one before it is kept too; [`Self::tidy`] removes older ones.
    ///
    /// Content that is in the store already is not sent again. While the store is away, this gives up after a few seconds, and may be called again. It
    /// may be dropped: then the checkpoint is complete or does not exist.
    ///
    /// # Errors
    /// [`Error::Overtaken`] if another attempt has begun: this one can never write again. If a file cannot be read; if the store cannot be
    /// reached or refuses.
    pub async fn publish(&mut self, name: &str, contents: Vec<(String, Content)>) -> Result<()> {
        let mut shards = Vec::new();
        for (name, content) in contents {
            shards.push(self.store(name, content).await?);
        }
        let checkpoint = Checkpoint { name: name.to_owned(), shards };
        checkpoint.check().map_err(|reason| Error::Unusable {
            job: self.quick.job().to_owned(),
            name: name.to_owned(),
            reason,
        })?;
        let before = self.manifest.checkpoints.iter().take(KEPT - 1).cloned();
        let checkpoints = std::iter::once(checkpoint).chain(before).collect();
        self.swap(Manifest { checkpoints, ..self.manifest.clone() }).await
    }

    /// A shard with this content, which is in the store afterwards.
    async fn store(&mut self, name: String, content: Content) -> Result<Shard> {
        let blob = content.blob().await?;
        if let Some(stored) = self.stored.get(&blob.digest) {
            return Ok(Shard { name, ..stored.clone() });
        }
        let shard = Shard { name, attempt: self.number(), digest: blob.digest, size: blob.size };
        let key = shard.key(self.quick.job());
        // a removal that failed must not be repeated once this is there
        self.unneeded.remove(&key);
        let written = match content {
            Content::Bytes(bytes) => self.quick.objects().write(&key, bytes, blob).await,
            Content::File(path) => self.quick.objects().write_file(&key, &path, blob).await,
        };
        if let Err(error) = written {
            // it may have arrived all the same
            self.unneeded.insert(key);
            return Err(error.into());
        }
        self.stored.insert(blob.digest, shard.clone());
        Ok(shard)
    }

    async fn swap(&mut self, to: Manifest) -> Result<()> {
        let mut tag = self.quick.swap(&to, Some(&self.tag)).await?;
        if tag.is_none() {
            let Seen { manifest, tag: found } = self.quick.look().await?;
            let is_own = (manifest.attempt, &manifest.writer) == (self.manifest.attempt, &self.manifest.writer);
            if !is_own {
                let job = self.quick.job().to_owned();
                return Err(Error::Overtaken { job, own: self.number(), other: manifest.attempt });
            }
            // an earlier write of this attempt, of which it never heard
            tag = self.quick.swap(&to, found.as_deref()).await?;
        }
        let overtaken = || Error::Overtaken { job: to.job.clone(), own: to.attempt, other: to.attempt };
        self.tag = tag.ok_or_else(overtaken)?;
        self.manifest = to;
        Ok(())
    }

    /// Removes what no checkpoint needs, after one was stored. What cannot be removed now is tried again the next time.
    pub async fn tidy(&mut self) {
        let (quick, own) = (self.quick.clone(), self.number());
        let (needed, unneeded): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.stored)
            .into_iter()
            .partition(|(_, shard)| self.manifest.needs(&shard.key(quick.job())));
        self.stored = needed;
        // before the first is removed: of a removal whose answer is lost, nobody knows whether it was carried out
        self.unneeded.extend(unneeded.values().map(|shard| shard.key(quick.job())));
        if !self.is_swept {
            match quick.stored().await {
                Ok(keys) => {
                    // what a later attempt has stored is not this one's to judge
                    let earlier = |key: &String| attempt_of(quick.job(), key).is_some_and(|attempt| attempt < own);
                    let left = keys.into_iter().filter(|key| earlier(key) && !self.manifest.needs(key));
                    self.unneeded.extend(left);
                    self.is_swept = true;
                }
                Err(error) => {
                    tracing::debug!("checkpoints are not listed, so what nobody needs stays for now: {error}");
                }
            }
        }
        for key in self.unneeded.clone() {
            match quick.objects().remove(&key).await {
                Ok(()) => {
                    self.unneeded.remove(&key);
                }
                Err(error) => tracing::debug!("an old shard stays: {error}"),
            }
        }
    }
}

impl Remover {
    /// Removes everything that the job has stored, unless another attempt has begun: then all of it is that one's. Gives up after seconds while the
    /// store is away.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses; what could not be removed stays.
    pub async fn remove(&self) -> Result<()> {
        let Seen { manifest, .. } = self.checkpoints.look().await?;
        if (manifest.attempt, &manifest.writer) != (self.attempt, &self.writer) {
            return Ok(());
        }
        self.checkpoints.remove_up_to(&manifest, self.attempt).await
    }
}

/// The attempt that stored a shard; `None` for a key that no attempt has made.
pub(crate) fn attempt_of(job: &str, key: &str) -> Option<u64> {
    key.strip_prefix(job)?.strip_prefix('/')?.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_which_attempt_made_it() {
        assert_eq!(attempt_of("a", "a/7/c0ffee"), Some(7));
        for other in ["a/manifest.json", "ab/7/c0ffee", "a/x/c0ffee", "a"] {
            assert_eq!(attempt_of("a", other), None, "{other}");
        }
    }
}
