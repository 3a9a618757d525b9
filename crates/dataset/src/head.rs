//! A dataset's head: which manifest a name stands for at the moment. It is moved by compare-and-swap, so of two who build at once one wins.

use aws_sdk_s3::primitives::ByteStream;
use serde::{Deserialize, Serialize};

use crate::bucket::Bucket;
use crate::refusal::status;
use crate::{Blob, Digest, Error, Result, Store};

/// A head is not larger.
const MOST: usize = 1 << 16;

/// What a build has published, all by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The manifest: the digest that pins the dataset.
    pub manifest: Digest,
    /// The quality report of its build, [`Store::report`].
    pub report: Digest,
    /// Which item is in which split, for every item that was ever in one.
    pub assignments: Blob,
}

/// A head as it was read. Moving it succeeds only if it is still that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHead {
    /// Its content.
    pub head: Head,
    tag: String,
}

/// How an attempt to move a head ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The head is the new one.
    Moved,
    /// Somebody else moved it meanwhile; nothing was changed.
    Overtaken,
}

impl Store {
    /// The head of a dataset; `None` if it has none yet.
    ///
    /// # Errors
    /// [`Error::Source`] if something else is there; if the store cannot be reached or refuses.
    pub async fn head(&self, name: &str) -> Result<Option<SeenHead>> {
        let key = key(name);
        let Some(object) = self.bucket().small(&key, MOST).await? else { return Ok(None) };
        let unusable = |reason: String| Error::Source { path: self.bucket().location(&key).into(), reason };
        let head = serde_json::from_slice(&object.bytes).map_err(|error| unusable(error.to_string()))?;
        let tag = object.tag.ok_or_else(|| unusable("the store gives it no entity tag".to_owned()))?;
        Ok(Some(SeenHead { head, tag }))
    }

    /// Makes `to` the head of a dataset, if that is still as it was `seen` (`None`: if it has none). What it names must be stored before.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn move_head(&self, name: &str, seen: Option<&SeenHead>, to: &Head) -> Result<Moved> {
        let bytes = serde_json::to_vec(to)
            .map_err(|error| Error::Inconsistent { name: name.to_owned(), reason: error.to_string() })?;
        let mut attempts = self.bucket().budget().attempts();
        loop {
            if self.bucket().write_if(&key(name), &bytes, seen.map(|seen| seen.tag.as_str())).await? {
                return Ok(Moved::Moved);
            }
            let found = self.head(name).await?;
            // an attempt whose answer was lost, or somebody else with the same result
            if found.as_ref().is_some_and(|found| found.head == *to) {
                return Ok(Moved::Moved);
            }
            if found.as_ref() != seen {
                return Ok(Moved::Overtaken);
            }
            // a write that was on its way and came to nothing
            let (endpoint, reason) = (self.bucket().endpoint().to_owned(), "another write is on its way".to_owned());
            attempts.pause(Error::Unreachable { endpoint, reason }).await?;
        }
    }
}

fn key(name: &str) -> String {
    format!("heads/{name}.json")
}

impl Bucket {
    /// Writes a small object if it has this entity tag, or without one if it does not exist. `false` if that is not so.
    pub(crate) async fn write_if(&self, key: &str, bytes: &[u8], tag: Option<&str>) -> Result<bool> {
        self.patiently(async || {
            let put = self.client().put_object().bucket(self.name()).key(key).content_type("application/json");
            let put = match tag {
                Some(tag) => put.if_match(tag),
                None => put.if_none_match("*"),
            };
            match put.body(ByteStream::from(bytes.to_vec())).send().await {
                Ok(_) => Ok(true),
                // 404: it is gone; 409: somebody else writes it at this moment
                Err(error) if matches!(status(&error), Some(409 | 412)) => Ok(false),
                Err(error) if status(&error) == Some(404) && tag.is_some() => Ok(false),
                Err(error) => Err(self.error("write", self.uri(key), &error)),
            }
        })
        .await
    }
}
