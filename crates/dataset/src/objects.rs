//! Objects of one bucket below a prefix, for what is stored beside datasets.

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use slipway_names::env;

use crate::bucket::Bucket;
use crate::cache::Cache;
use crate::download::{Downloaded, Size};
use crate::refusal::status;
use crate::upload::Content;
use crate::{Blob, Credentials, Error, Result, RetryBudget};

/// Objects whose keys begin with a prefix. Cheap to clone; clones share the connections.
#[derive(Debug, Clone)]
pub struct Objects {
    bucket: Bucket,
    /// Empty, or it ends with a slash.
    prefix: String,
}

/// A small object and the tag that tells whether it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// Its content.
    pub bytes: Bytes,
    /// Its entity tag.
    pub tag: String,
}

/// What became of reading an object that should have a known content.
#[derive(Debug)]
pub enum Fetched {
    /// The content, verified, to be read from its start. The file has no name, and takes space on its disk until it is dropped.
    Whole(File),
    /// There is no such object.
    Missing,
    /// It holds something else: its size or its digest.
    Wrong(String),
}

impl Objects {
    /// The objects below `uri`, `s3://bucket` or `s3://bucket/prefix`, of the endpoint that the environment names ([`crate::Store::from_env`]).
    ///
    /// # Errors
    /// [`Error::Configuration`] if `uri` or a variable is malformed.
    pub async fn from_env(uri: &str, budget: RetryBudget) -> Result<Self> {
        let (name, prefix) = parse(uri)?;
        Ok(Self { bucket: Bucket::from_env(name, budget).await?, prefix })
    }

    /// The objects below `uri` at `endpoint`, such as `http://127.0.0.1:9000`, with given keys.
    ///
    /// # Errors
    /// [`Error::Configuration`] if `uri` or `endpoint` is malformed.
    pub fn new(endpoint: &str, uri: &str, credentials: Credentials, region: &str, budget: RetryBudget) -> Result<Self> {
        let (name, prefix) = parse(uri)?;
        Ok(Self { bucket: Bucket::new(endpoint, &name, credentials, region, budget)?, prefix })
    }

    /// The same objects, with another patience.
    #[must_use]
    pub fn with_budget(&self, budget: RetryBudget) -> Self {
        Self { bucket: self.bucket.with_budget(budget), prefix: self.prefix.clone() }
    }

    /// Where an object is, for messages.
    #[must_use]
    pub fn location(&self, key: &str) -> String {
        self.bucket.location(&self.key(key))
    }

    /// An object of at most so many bytes; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Source`] if it is larger, or if the store gives it no entity tag; if the store cannot be reached or refuses.
    pub async fn read(&self, key: &str, most: usize) -> Result<Option<Tagged>> {
        let Some(object) = self.bucket.small(&self.key(key), most).await? else { return Ok(None) };
        let no_tag =
            || Error::Source { path: self.location(key).into(), reason: "the store gives it no entity tag".to_owned() };
        Ok(Some(Tagged { bytes: object.bytes, tag: object.tag.ok_or_else(no_tag)? }))
    }

    /// Reads an object that should be `blob` into a file in `folder`, in bounded memory. A body that breaks off is continued.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses, or the file cannot be written.
    pub async fn fetch(&self, key: &str, blob: Blob, folder: &Path) -> Result<Fetched> {
        let mut part = Cache::new(folder).part().await?;
        match self.bucket.download(&self.key(key), Size::Exactly(blob.size), &mut part).await? {
            Downloaded::Missing => Ok(Fetched::Missing),
            Downloaded::WrongSize(actual) => Ok(Fetched::Wrong(actual)),
            Downloaded::Whole => Ok(match part.into_file(&blob.digest).await? {
                Ok(file) => Fetched::Whole(file),
                Err(actual) => Fetched::Wrong(actual.to_string()),
            }),
        }
    }

    /// Writes content, which must be `blob`. Content of more than 8 MiB is sent in parts; nothing is left of a write that fails.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn write(&self, key: &str, bytes: Bytes, blob: Blob) -> Result<()> {
        self.bucket.upload(&self.key(key), Content::Bytes(bytes), blob, OCTETS).await
    }

    /// Writes a file, which must be `blob`, in bounded memory.
    ///
    /// # Errors
    /// If the file cannot be read or is something else; if the store cannot be reached or refuses.
    pub async fn write_file(&self, key: &str, file: &Path, blob: Blob) -> Result<()> {
        self.bucket.upload(&self.key(key), Content::open(file).await?, blob, OCTETS).await
    }

    /// Writes a small object if it has this entity tag, or without one if it does not exist. `false` if that is not so, or if an earlier try of
    /// this very write succeeded and its answer was lost: whoever wants to know reads it.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn write_if(&self, key: &str, bytes: &[u8], tag: Option<&str>) -> Result<bool> {
        self.bucket.write_if(&self.key(key), bytes, tag).await
    }

    /// Removes an object, which need not exist.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn remove(&self, key: &str) -> Result<()> {
        let key = self.key(key);
        self.bucket
            .patiently(async || {
                let remove = self.bucket.client().delete_object().bucket(self.bucket.name()).key(&key);
                match remove.send().await {
                    Ok(_) => Ok(()),
                    Err(error) if status(&error) == Some(404) => Ok(()),
                    Err(error) => Err(self.bucket.error("remove", self.bucket.uri(&key), &error)),
                }
            })
            .await
    }

    /// The keys of all objects below `folder`, which ends with a slash.
    ///
    /// # Errors
    /// If there is no such bucket; if the store cannot be reached or refuses.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>> {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let (page, more) = self.bucket.page(&self.key(folder), after.as_deref()).await?;
            after = page.last().map(|object| object.key.clone());
            keys.extend(page.into_iter().filter_map(|object| Some(object.key.strip_prefix(&self.prefix)?.to_owned())));
            if !more || after.is_none() {
                return Ok(keys);
            }
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

const OCTETS: &str = "application/octet-stream";

/// The bucket and the prefix.
fn parse(uri: &str) -> Result<(String, String)> {
    let parts =
        uri.strip_prefix("s3://").map(|rest| rest.trim_end_matches('/')).map(|rest| match rest.split_once('/') {
            Some((bucket, prefix)) => (bucket, format!("{prefix}/")),
            None => (rest, String::new()),
        });
    let parts = parts.filter(|(bucket, prefix)| !bucket.is_empty() && !prefix.starts_with('/'));
    parts.map(|(bucket, prefix)| (bucket.to_owned(), prefix)).ok_or_else(|| {
        Error::Configuration(format!(
            "{} is `{uri}`; give s3:// and a bucket, with a folder in it or without one, such as s3://checkpoints",
            env::CHECKPOINT_STORE
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_or_a_folder_in_one() {
        let parsed = |uri| parse(uri).map(|(bucket, prefix)| format!("{bucket} {prefix}")).ok();
        assert_eq!(parsed("s3://b").as_deref(), Some("b "));
        assert_eq!(parsed("s3://b/").as_deref(), Some("b "));
        assert_eq!(parsed("s3://b/a/c/").as_deref(), Some("b a/c/"));
        for wrong in ["b", "s3://", "s3:///a", "s3://b//a", "http://b"] {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
