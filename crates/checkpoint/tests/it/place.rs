//! A store with the checkpoints of one job.

use std::io::Read;
use std::path::PathBuf;

use slipway_checkpoint::{Attempt, Checkpoints, Content};
use slipway_dataset::{Credentials, Objects, RetryBudget};
use slipway_object_store::{Faults, KEYS, serve_with};
use tempfile::TempDir;

pub(crate) struct Place {
    folder: TempDir,
    cache: TempDir,
    pub(crate) faults: Faults,
    pub(crate) checkpoints: Checkpoints,
}

/// Name and content of each shard of a checkpoint.
pub(crate) type Found = (String, Vec<(String, String)>);

impl Place {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("checkpoints")).unwrap();
        let faults = Faults::default();
        let url = serve_with(folder.path(), faults.clone()).await;
        let credentials =
            Credentials { access_key: KEYS.0.to_owned(), secret_key: KEYS.1.to_owned(), session_token: None };
        let objects =
            Objects::new(&url, "s3://checkpoints/here", credentials, "us-east-1", RetryBudget::Interactive).unwrap();
        let checkpoints = Checkpoints::new(objects, "job-1a2b3c4d");
        Self { folder, cache: tempfile::tempdir().unwrap(), faults, checkpoints }
    }

    pub(crate) async fn claim(&self) -> Attempt {
        self.checkpoints.claim().await.unwrap()
    }

    /// What the next attempt finds.
    pub(crate) async fn next(&self) -> (Attempt, Option<Found>) {
        let mut attempt = self.claim().await;
        let found = self.restored(&mut attempt).await;
        (attempt, found)
    }

    pub(crate) async fn restored(&self, attempt: &mut Attempt) -> Option<Found> {
        let restored = attempt.restore(self.cache.path()).await.unwrap()?;
        let read = |(name, mut file): (String, std::fs::File)| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            (name, text)
        };
        Some((restored.name, restored.shards.into_iter().map(read).collect()))
    }

    /// The job's folder, as the store keeps it.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("checkpoints/here/job-1a2b3c4d")
    }

    /// The shards in the store: attempt and content.
    pub(crate) fn stored(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for attempt in std::fs::read_dir(self.path()).into_iter().flatten().flatten() {
            for shard in std::fs::read_dir(attempt.path()).into_iter().flatten().flatten() {
                let name = attempt.file_name().into_string().unwrap();
                all.push((name, std::fs::read_to_string(shard.path()).unwrap()));
            }
        }
        all.sort();
        all
    }

    /// Where the shard with this content is.
    pub(crate) fn shard(&self, content: &str) -> PathBuf {
        let attempts = std::fs::read_dir(self.path()).unwrap().flatten();
        let mut shards = attempts.flat_map(|attempt| std::fs::read_dir(attempt.path()).into_iter().flatten().flatten());
        shards.find(|shard| std::fs::read_to_string(shard.path()).unwrap() == content).unwrap().path()
    }
}

/// A checkpoint of two shards, of which the second never changes.
pub(crate) fn contents(number: u32) -> Vec<(String, Content)> {
    let shard = |name: &str, content: String| (name.to_owned(), Content::Bytes(content.into()));
    vec![shard("parameters", format!("parameters {number}")), shard("best", "best".to_owned())]
}

pub(crate) fn found(number: u32) -> Option<Found> {
    let shards = [("parameters", format!("parameters {number}")), ("best", "best".to_owned())];
    Some((format!("step-{number}"), shards.map(|(name, content)| (name.to_owned(), content)).to_vec()))
}

/// Stores a checkpoint, and removes what is older than the last two.
pub(crate) async fn publish(attempt: &mut Attempt, number: u32) -> slipway_checkpoint::Result<()> {
    attempt.publish(&format!("step-{number}"), contents(number)).await?;
    attempt.tidy().await;
    Ok(())
}
