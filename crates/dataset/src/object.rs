//! Objects of any bucket, one by one: what lies below a prefix, small ones in memory.

use std::time::SystemTime;

use aws_sdk_s3::primitives::{ByteStream, DateTimeFormat};
use bytes::Bytes;
use slipway_causes::root;

use crate::bucket::Bucket;
use crate::refusal::status;
use crate::{Digest, Error, Result, Store};

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// Another one if its content changes: the entity tag, or the time of the last change from a store that lists none.
    pub version: String,
    /// When its content changed last; `None` from a store that does not say it.
    pub changed: Option<SystemTime>,
}

/// A small object in memory.
#[derive(Debug, Clone)]
pub(crate) struct Small {
    pub(crate) bytes: Bytes,
    pub(crate) tag: Option<String>,
}

/// A report is not larger.
const REPORT: usize = 64 << 20;
/// What is kept of a step is not larger.
const STEP: usize = 16 << 20;

impl Store {
    /// Calls `each` with every object whose key begins with `prefix`, in the order of the keys' bytes. Holds one page of them.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no such bucket; if the store cannot be reached or refuses; the error of `each`.
    pub async fn list<E: From<Error>>(
        &self,
        bucket: &str,
        prefix: &str,
        mut each: impl FnMut(Listed) -> Result<(), E>,
    ) -> Result<(), E> {
        let bucket = self.bucket().beside(bucket);
        let mut after: Option<String> = None;
        loop {
            let (page, more) = bucket.page(prefix, after.as_deref()).await?;
            let last = page.last().map(|object| object.key.clone());
            page.into_iter().try_for_each(&mut each)?;
            match last {
                Some(last) if more => after = Some(last),
                _ => return Ok(()),
            }
        }
    }

    /// The same for the objects of this bucket.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_own<E: From<Error>>(
        &self,
        prefix: &str,
        each: impl FnMut(Listed) -> Result<(), E>,
    ) -> Result<(), E> {
        self.list(self.bucket().name(), prefix, each).await
    }

    /// An object of this bucket in memory; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`Store::read_object`].
    pub async fn read_own(&self, key: &str, most: usize) -> Result<Option<Bytes>> {
        Ok(self.bucket().small(key, most).await?.map(|object| object.bytes))
    }

    /// Writes an object of this bucket, whatever is there.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn write_own(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<()> {
        self.bucket().put(key, bytes, content_type).await
    }

    /// Deletes an object of this bucket. One that does not exist counts as deleted.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn delete_own(&self, key: &str) -> Result<()> {
        self.bucket().delete(key).await
    }

    /// An object of the same endpoint, `s3://bucket/key`, in memory; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Source`] if it has more than `most` bytes; if the store cannot be reached or refuses.
    pub async fn read_object(&self, bucket: &str, key: &str, most: usize) -> Result<Option<Bytes>> {
        Ok(self.bucket().beside(bucket).small(key, most).await?.map(|object| object.bytes))
    }

    /// Creates a small object of the same endpoint, `s3://bucket/key`. `false` if there is one already, which stays as it is.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn create_object(&self, bucket: &str, key: &str, bytes: &[u8], content_type: &str) -> Result<bool> {
        self.bucket().beside(bucket).create_small(key, bytes, content_type).await
    }

    /// Stores a quality report of a dataset beside its manifest; gives the report's digest.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn push_report(&self, manifest: &Digest, report: &[u8]) -> Result<Digest> {
        let digest = Digest::of(report);
        self.bucket().write_small(&report_key(manifest, &digest), report).await?;
        Ok(digest)
    }

    /// Reads a quality report, verified.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::DigestMismatch`]; if the store cannot be reached or refuses.
    pub async fn report(&self, manifest: &Digest, report: &Digest) -> Result<Bytes> {
        let key = report_key(manifest, report);
        let what = || format!("the report {report}");
        let Some(object) = self.bucket().small(&key, REPORT).await? else {
            return Err(Error::Missing { what: what(), location: self.bucket().location(&key) });
        };
        let actual = Digest::of(&object.bytes);
        if actual == *report {
            return Ok(object.bytes);
        }
        let (expected, actual) = (report.to_string(), actual.to_string());
        Err(Error::DigestMismatch { what: what(), location: self.bucket().location(&key), expected, actual })
    }

    /// What is kept of a step of a pipeline under the digest of its inputs and parameters; `None` if nothing is.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn step(&self, key: &Digest) -> Result<Option<Bytes>> {
        Ok(self.bucket().small(&step_key(key), STEP).await?.map(|object| object.bytes))
    }

    /// Keeps what a step came to. Whatever was there is replaced.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn keep_step(&self, key: &Digest, bytes: &[u8]) -> Result<()> {
        self.bucket().write_small(&step_key(key), bytes).await
    }
}

fn report_key(manifest: &Digest, report: &Digest) -> String {
    format!("reports/{}/{}.json", manifest.hex(), report.hex())
}

fn step_key(key: &Digest) -> String {
    format!("steps/sha256/{}.json", key.hex())
}

impl Bucket {
    /// An object of at most so many bytes; `None` if it does not exist.
    pub(crate) async fn small(&self, key: &str, most: usize) -> Result<Option<Small>> {
        self.patiently(async || {
            let object = match self.client().get_object().bucket(self.name()).key(key).send().await {
                Ok(object) => object,
                Err(error) if status(&error) == Some(404) => return Ok(None),
                Err(error) => return Err(self.error("read", self.uri(key), &error)),
            };
            let tag = object.e_tag.clone();
            let too_large =
                || Error::Source { path: self.location(key).into(), reason: format!("it has more than {most} bytes") };
            if object.content_length().is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > most)) {
                return Err(too_large());
            }
            let mut body = object.body;
            let mut bytes = Vec::new();
            while let Some(more) = body.next().await {
                let more = more.map_err(|error| Error::Unreachable {
                    endpoint: self.endpoint().to_owned(),
                    reason: root(&error),
                })?;
                if bytes.len() + more.len() > most {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&more);
            }
            Ok(Some(Small { bytes: bytes.into(), tag }))
        })
        .await
    }

    /// Writes a small object, whatever is there.
    pub(crate) async fn write_small(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.patiently(async || {
            let put = self.client().put_object().bucket(self.name()).key(key).content_type("application/json");
            let put = put.body(ByteStream::from(bytes.to_vec()));
            put.send().await.map(drop).map_err(|error| self.error("write", self.uri(key), &error))
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.patiently(async || match self.client().delete_object().bucket(self.name()).key(key).send().await {
            Ok(_) => Ok(()),
            Err(error) if status(&error) == Some(404) => Ok(()),
            Err(error) => Err(self.error("delete", self.uri(key), &error)),
        })
        .await
    }

    /// Creates a small object. `false` if it exists.
    async fn create_small(&self, key: &str, bytes: &[u8], content_type: &str) -> Result<bool> {
        self.patiently(async || {
            let put = self.client().put_object().bucket(self.name()).key(key).content_type(content_type);
            match put.if_none_match("*").body(ByteStream::from(bytes.to_vec())).send().await {
                Ok(_) => Ok(true),
                Err(error) if status(&error) == Some(412) => Ok(false),
                // it will be there, or not
                Err(error) if status(&error) == Some(409) => {
                    let (endpoint, reason) = (self.endpoint().to_owned(), "another write is on its way".to_owned());
                    Err(Error::Unreachable { endpoint, reason })
                }
                Err(error) => Err(self.error("write", self.uri(key), &error)),
            }
        })
        .await
    }

    /// A page of a listing, and whether more follows.
    pub(crate) async fn page(&self, prefix: &str, after: Option<&str>) -> Result<(Vec<Listed>, bool)> {
        self.patiently(async || {
            let list = self.client().list_objects_v2().bucket(self.name()).prefix(prefix);
            let listed = list.set_start_after(after.map(str::to_owned)).send().await.map_err(|error| {
                if status(&error) == Some(404) {
                    let what = format!("the bucket s3://{}", self.name());
                    return Error::Missing { what, location: self.location(prefix) };
                }
                self.error("list", self.uri(prefix), &error)
            })?;
            let more = listed.is_truncated() == Some(true);
            let object = |object: aws_sdk_s3::types::Object| {
                let changed = object.last_modified.and_then(|time| time.fmt(DateTimeFormat::DateTimeWithOffset).ok());
                Some(Listed {
                    key: object.key?,
                    size: object.size.and_then(|size| size.try_into().ok()).unwrap_or_default(),
                    version: object.e_tag.or(changed).unwrap_or_default(),
                    changed: object.last_modified.and_then(|time| SystemTime::try_from(time).ok()),
                })
            };
            Ok((listed.contents.unwrap_or_default().into_iter().filter_map(object).collect(), more))
        })
        .await
    }
}
