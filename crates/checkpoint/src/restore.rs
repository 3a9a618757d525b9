//! The newest checkpoint that is whole.

use std::fs::File;
use std::path::Path;

use slipway_dataset::{Digest, Fetched};

use crate::manifest::Checkpoint;
use crate::{Attempt, Checkpoints, Error, Result};

/// A checkpoint whose shards are here and verified.
#[derive(Debug)]
pub struct Restored {
    /// Its name.
    pub name: String,
    /// What it is, for [`Checkpoints::fetch`] on another worker.
    pub id: Digest,
    /// Name and content of each shard. The files have no name, and take space on their disk until they are dropped.
    pub shards: Vec<(String, File)>,
}

impl Attempt {
    /// Reads the newest checkpoint into files in `folder`; `None` if there is none. Each shard is verified by its digest. If one is missing or is not
    /// what the manifest says, the log names it, and the checkpoint before is used. Waits for minutes while the store is away.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses, or a file cannot be written.
    pub async fn restore(&mut self, folder: &Path) -> Result<Option<Restored>> {
        let checkpoints = std::mem::take(&mut self.manifest.checkpoints);
        for checkpoint in checkpoints {
            match self.patient.read(&checkpoint, folder).await? {
                Ok(restored) => {
                    for shard in &checkpoint.shards {
                        self.stored.insert(shard.digest, shard.clone());
                    }
                    // those that are not whole are no longer named when the next one is stored
                    self.manifest.checkpoints = vec![checkpoint];
                    return Ok(Some(restored));
                }
                Err(reason) => {
                    tracing::warn!(event = "checkpoint_set_aside", name = checkpoint.name, "{reason}");
                }
            }
        }
        Ok(None)
    }
}

impl Checkpoints {
    /// Reads the checkpoint that another worker of this attempt has restored. Claims nothing.
    ///
    /// # Errors
    /// [`Error::Lost`] if it no longer exists or is not whole; if the store cannot be reached or refuses, or a file cannot be written.
    pub async fn fetch(&self, id: &Digest, folder: &Path) -> Result<Restored> {
        let checkpoints = self.look().await?.manifest.checkpoints;
        let Some(checkpoint) = checkpoints.iter().find(|checkpoint| checkpoint.id() == *id) else {
            return Err(Error::Lost(format!(
                "{} does not name the checkpoint any more that rank 0 has found: another attempt has begun",
                self.location()
            )));
        };
        self.read(checkpoint, folder).await?.map_err(Error::Lost)
    }

    /// Reads a checkpoint, or says which shard cannot be used.
    async fn read(&self, checkpoint: &Checkpoint, folder: &Path) -> Result<Result<Restored, String>> {
        let objects = self.objects();
        let mut shards = Vec::new();
        for shard in &checkpoint.shards {
            let key = shard.key(self.job());
            let problem = match objects.fetch(&key, shard.blob(), folder).await? {
                Fetched::Whole(file) => {
                    shards.push((shard.name.clone(), file));
                    continue;
                }
                Fetched::Missing => "does not exist".to_owned(),
                Fetched::Wrong(actual) => {
                    format!("holds {actual} instead of {} bytes of {}", shard.size, shard.digest)
                }
            };
            return Ok(Err(format!(
                "the checkpoint {} is not used, because of its shard {}: {} {problem}",
                checkpoint.name,
                shard.name,
                objects.location(&key)
            )));
        }
        Ok(Ok(Restored { name: checkpoint.name.clone(), id: checkpoint.id(), shards }))
    }
}
