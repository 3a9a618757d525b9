//! The manifest of a job's checkpoints.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use slipway_dataset::{Blob, Digest};

/// The format that is written; others are not read.
const FORMAT: u32 = 1;
/// A manifest is not larger, in bytes.
pub(crate) const MOST: usize = 4 << 20;

/// The last checkpoints of a job, and who may write the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) job: String,
    /// The number of the attempt that has claimed it, from 1.
    pub(crate) attempt: u64,
    /// Random, so that of two who claim the same number each knows who has it.
    pub(crate) writer: String,
    /// The newest first.
    pub(crate) checkpoints: Vec<Checkpoint>,
}

/// A complete checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Checkpoint {
    /// For messages, and the name of a program's folder.
    pub(crate) name: String,
    pub(crate) shards: Vec<Shard>,
}

/// A part of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Shard {
    /// A relative path.
    pub(crate) name: String,
    /// The attempt that stored it.
    pub(crate) attempt: u64,
    pub(crate) digest: Digest,
    /// In bytes.
    pub(crate) size: u64,
}

impl Manifest {
    /// That of a job before its first attempt.
    pub(crate) fn empty(job: &str) -> Self {
        Self { format: FORMAT, job: job.to_owned(), attempt: 0, writer: String::new(), checkpoints: Vec::new() }
    }

    /// Reads one of this job.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn parse(job: &str, bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if manifest.format != FORMAT {
            return Err(format!("its format is {}, and this release reads {FORMAT}", manifest.format));
        }
        if manifest.job != job {
            return Err(format!("it belongs to the job {}", manifest.job));
        }
        for checkpoint in &manifest.checkpoints {
            checkpoint.check()?;
        }
        Ok(manifest)
    }

    pub(crate) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Whether a checkpoint needs this shard.
    pub(crate) fn needs(&self, key: &str) -> bool {
        self.keys().any(|needed| needed == key)
    }

    /// The keys of all shards.
    pub(crate) fn keys(&self) -> impl Iterator<Item = String> {
        self.checkpoints.iter().flat_map(|checkpoint| &checkpoint.shards).map(|shard| shard.key(&self.job))
    }
}

impl Checkpoint {
    /// What it is, in one word that workers can tell each other.
    pub(crate) fn id(&self) -> Digest {
        let parts = self.shards.iter().map(|shard| format!("{} {} {}\n", shard.attempt, shard.digest, shard.name));
        Digest::of(std::iter::once(format!("{}\n", self.name)).chain(parts).collect::<String>())
    }

    /// Says what is wrong with a name.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut names: Vec<&str> = self.shards.iter().map(|shard| shard.name.as_str()).collect();
        if let Some(name) = names.iter().chain([&self.name.as_str()]).find(|name| !is_relative(name)) {
            return Err(format!("`{name}` is no relative path"));
        }
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("`{}` is there twice", pair[0])),
            None => Ok(()),
        }
    }
}

impl Shard {
    pub(crate) fn key(&self, job: &str) -> String {
        format!("{job}/{}/{}", self.attempt, self.digest.hex())
    }

    pub(crate) fn blob(&self) -> Blob {
        Blob { digest: self.digest, size: self.size }
    }
}

/// Whether a path stays below the folder that it is relative to.
fn is_relative(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|component| matches!(component, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, shards: &[&str]) -> Manifest {
        let shard = |name: &&str| Shard { name: (*name).to_owned(), attempt: 1, digest: Digest::of(name), size: 3 };
        let checkpoint = Checkpoint { name: name.to_owned(), shards: shards.iter().map(shard).collect() };
        Manifest { attempt: 1, checkpoints: vec![checkpoint], ..Manifest::empty("job") }
    }

    #[test]
    fn it_is_read_back_as_written_and_by_its_own_job_alone() {
        let bytes = of("step-7", &["state.json", "optimizer/first"]).to_bytes().unwrap();
        assert_eq!(Manifest::parse("job", &bytes).unwrap(), of("step-7", &["state.json", "optimizer/first"]));
        assert!(Manifest::parse("other", &bytes).unwrap_err().contains("belongs to the job job"));
        let newer = String::from_utf8(bytes).unwrap().replace("\"format\":1", "\"format\":2");
        assert!(Manifest::parse("job", newer.as_bytes()).unwrap_err().contains("this release reads 1"));
    }

    #[test]
    fn no_name_leads_out_of_its_folder() {
        for (name, shards) in
            [("..", vec!["a"]), ("a", vec!["../b"]), ("a", vec!["/b"]), ("a", vec![""]), ("a", vec!["b", "b"])]
        {
            let bytes = of(name, &shards).to_bytes().unwrap();
            assert!(Manifest::parse("job", &bytes).is_err(), "{name} {shards:?}");
        }
    }
}
