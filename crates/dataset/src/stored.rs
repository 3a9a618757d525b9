//! Everything that is in a bucket of datasets, and taking away what nothing needs.

use std::time::SystemTime;

use bytes::Bytes;

use crate::object::Listed;
use crate::refusal::status;
use crate::{Digest, Error, Manifest, Result, Store};

/// A manifest is not larger.
const MANIFEST: usize = 1 << 20;

/// An object of the bucket that this crate knows the meaning of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stored {
    /// A blob.
    Blob(Digest),
    /// A manifest, by the dataset's digest.
    Manifest(Digest),
    /// A quality report of a manifest.
    Report {
        /// The manifest.
        manifest: Digest,
        /// The report.
        report: Digest,
    },
    /// What is kept of a step of a pipeline.
    Step(Digest),
    /// The head of a name.
    Head(String),
}

impl Stored {
    fn of(key: &str) -> Option<Self> {
        let hex = |name: &str| Digest::from_hex(name).ok();
        let json = |name: &str| name.strip_suffix(".json").and_then(hex);
        match key.split('/').collect::<Vec<_>>()[..] {
            ["blobs", "sha256", name] => hex(name).map(Self::Blob),
            ["manifests", "sha256", name] => json(name).map(Self::Manifest),
            ["reports", manifest, report] => {
                hex(manifest).zip(json(report)).map(|(manifest, report)| Self::Report { manifest, report })
            }
            ["steps", "sha256", name] => json(name).map(Self::Step),
            ["heads", name] => name.strip_suffix(".json").map(|name| Self::Head(name.to_owned())),
            _ => None,
        }
    }

    /// Its key in the bucket.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Blob(digest) => format!("blobs/sha256/{}", digest.hex()),
            Self::Manifest(digest) => format!("manifests/sha256/{}.json", digest.hex()),
            Self::Report { manifest, report } => format!("reports/{}/{}.json", manifest.hex(), report.hex()),
            Self::Step(key) => format!("steps/sha256/{}.json", key.hex()),
            Self::Head(name) => format!("heads/{name}.json"),
        }
    }
}

/// An object of the bucket, with its size in bytes and the time of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// What it is.
    pub stored: Stored,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written; `None` if the store does not say it.
    pub changed: Option<SystemTime>,
}

impl Store {
    /// Everything in the bucket that this crate knows the meaning of. Objects of others are passed over.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no such bucket; if the store cannot be reached or refuses.
    pub async fn stored(&self) -> Result<Vec<StoredObject>> {
        let mut all = Vec::new();
        for prefix in ["blobs/", "heads/", "manifests/", "reports/", "steps/"] {
            self.list(self.bucket().name(), prefix, |Listed { key, size, changed, .. }| {
                all.extend(Stored::of(&key).map(|stored| StoredObject { stored, size, changed }));
                Ok::<_, Error>(())
            })
            .await?;
        }
        Ok(all)
    }

    /// Reads a manifest, verified.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::DigestMismatch`]; if the store cannot be reached or refuses.
    pub async fn read_manifest(&self, digest: &Digest) -> Result<Manifest> {
        let key = Stored::Manifest(*digest).key();
        let what = || format!("the manifest of the dataset {digest}");
        let Some(object) = self.bucket().small(&key, MANIFEST).await? else {
            return Err(Error::Missing { what: what(), location: self.bucket().location(&key) });
        };
        let bytes: Bytes = object.bytes;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            let (expected, actual) = (digest.to_string(), actual.to_string());
            return Err(Error::DigestMismatch {
                what: what(),
                location: self.bucket().location(&key),
                expected,
                actual,
            });
        }
        Manifest::parse(digest, &bytes)
    }

    /// Removes an object for ever. It may be gone already.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn remove(&self, stored: &Stored) -> Result<()> {
        let key = stored.key();
        self.bucket()
            .patiently(async || {
                match self.bucket().client().delete_object().bucket(self.bucket().name()).key(&key).send().await {
                    Ok(_) => Ok(()),
                    Err(error) if status(&error) == Some(404) => Ok(()),
                    Err(error) => Err(self.bucket().error("remove", self.bucket().uri(&key), &error)),
                }
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_says_what_it_is() {
        let (one, other) = (Digest::of("a"), Digest::of("b"));
        for stored in [
            Stored::Blob(one),
            Stored::Manifest(one),
            Stored::Report { manifest: one, report: other },
            Stored::Step(other),
            Stored::Head("digits".to_owned()),
        ] {
            assert_eq!(Stored::of(&stored.key()), Some(stored));
        }
        for other in ["", "blobs/sha256/", "blobs/sha256/abc", "blobs/md5/x", "heads/a", "heads/a/b.json", "mine/a"] {
            assert_eq!(Stored::of(other), None, "{other}");
        }
    }
}
