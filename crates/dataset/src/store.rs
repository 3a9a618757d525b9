//! Datasets in a bucket of an S3 store.

use std::path::Path;

use crate::bucket::Bucket;
use crate::cache::Cache;
use crate::{Blob, Dataset, Digest, Error, LocalDataset, Manifest, Result, Split, SplitBlobs, idx};

/// Access to the store; never printed.
#[derive(Clone)]
pub struct Credentials {
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
    /// Session token, of temporary credentials.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// A bucket that holds datasets. Cheap to clone; clones share the connections.
#[derive(Debug, Clone)]
pub struct Store {
    bucket: Bucket,
}

impl Store {
    /// The bucket `bucket` at `endpoint`, such as `http://127.0.0.1:9000`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Configuration`] when `endpoint` is not an http or https address.
    pub fn new(endpoint: &str, bucket: &str, credentials: Credentials, region: &str) -> Result<Self> {
        Ok(Self { bucket: Bucket::new(endpoint, bucket, credentials, region)? })
    }

    /// As the environment says: `SLIPWAY_DATASETS` (`s3://<bucket>`; default `s3://datasets`), `AWS_ENDPOINT_URL_S3` or
    /// `AWS_ENDPOINT_URL` (default: AWS itself), `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`
    /// (default `us-east-1`).
    ///
    /// # Errors
    /// [`Error::Configuration`] when credentials are missing, `SLIPWAY_DATASETS` is not `s3://<bucket>`, or the endpoint is no address.
    pub fn from_env() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let required = |name: &str| {
            variable(name)
                .ok_or_else(|| Error::Configuration(format!("{name} is not set; set it to the store's credentials")))
        };
        let place = variable("SLIPWAY_DATASETS").unwrap_or_else(|| "s3://datasets".to_owned());
        let bucket = place
            .strip_prefix("s3://")
            .map(|bucket| bucket.trim_end_matches('/'))
            .filter(|bucket| !bucket.is_empty() && !bucket.contains('/'));
        let bucket = bucket.ok_or_else(|| {
            Error::Configuration(format!(
                "SLIPWAY_DATASETS is `{place}`; give s3:// and a bucket, such as s3://datasets"
            ))
        })?;
        let endpoint = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
        let credentials = Credentials {
            access_key: required("AWS_ACCESS_KEY_ID")?,
            secret_key: required("AWS_SECRET_ACCESS_KEY")?,
            session_token: variable("AWS_SESSION_TOKEN"),
        };
        let region = variable("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        Self::new(&endpoint, bucket, credentials, &region)
    }

    /// Where datasets lie, such as `s3://datasets`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("s3://{}", self.bucket.name())
    }

    /// Where the manifest with this digest lies, such as `s3://datasets/manifests/sha256/<hex>.json`.
    #[must_use]
    pub fn manifest_uri(&self, digest: &Digest) -> String {
        format!("{}/{}", self.uri(), manifest_key(digest))
    }

    /// Makes the bucket if it is not there. Safe to call from several at once.
    ///
    /// # Errors
    /// When the store cannot be reached or refuses.
    pub async fn ensure_bucket(&self) -> Result<()> {
        self.bucket.ensure().await
    }

    /// Stores a dataset and gives its digest. Blobs that are there are not sent again; the manifest comes last, so that a
    /// manifest in the store means that its blobs are there.
    ///
    /// # Errors
    /// When the store cannot be reached or refuses.
    pub async fn push(&self, dataset: &LocalDataset) -> Result<Digest> {
        self.ensure_bucket().await?;
        for (_, blob, bytes) in dataset.blobs() {
            self.put(&blob_key(&blob.digest), bytes, "application/octet-stream").await?;
        }
        self.put(&manifest_key(&dataset.digest()), dataset.canonical(), "application/json").await?;
        Ok(dataset.digest())
    }

    /// Whether a manifest with this digest is in the store; its content is not read.
    ///
    /// # Errors
    /// When the store cannot be reached or refuses.
    pub async fn contains(&self, digest: &Digest) -> Result<bool> {
        Ok(self.bucket.size(&manifest_key(digest)).await?.is_some())
    }

    /// Reads a dataset, from `cache_dir` what is there already, the rest from the store and into `cache_dir`. Every read is
    /// verified.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] when the store holds something else than the digest says, [`Error::Missing`] when it lacks a
    /// part, [`Error::Idx`] and [`Error::Inconsistent`] when a part is not what the manifest says; when the store cannot be
    /// reached.
    pub async fn fetch(&self, digest: &Digest, cache_dir: &Path) -> Result<Dataset> {
        let cache = Some(Cache::new(cache_dir));
        let manifest = self.manifest(digest, cache.as_ref()).await?;
        self.read(digest, &manifest, cache.as_ref()).await
    }

    /// Reads every part of a dataset from the store, past any cache, and checks it.
    ///
    /// # Errors
    /// As [`Store::fetch`].
    pub async fn verify(&self, digest: &Digest) -> Result<Manifest> {
        let manifest = self.manifest(digest, None).await?;
        self.read(digest, &manifest, None).await?;
        Ok(manifest)
    }

    async fn manifest(&self, digest: &Digest, cache: Option<&Cache>) -> Result<Manifest> {
        let what = format!("the manifest of the dataset {digest}");
        Manifest::parse(digest, &self.content(&what, &manifest_key(digest), digest, cache).await?)
    }

    async fn read(&self, digest: &Digest, manifest: &Manifest, cache: Option<&Cache>) -> Result<Dataset> {
        let (train, validation, test) = tokio::try_join!(
            self.part(manifest, "train", &manifest.splits.train, cache),
            self.part(manifest, "validation", &manifest.splits.validation, cache),
            self.part(manifest, "test", &manifest.splits.test, cache),
        )?;
        let Manifest { name, shape, classes, .. } = manifest;
        Ok(Dataset { name: name.clone(), digest: *digest, shape: *shape, classes: *classes, train, validation, test })
    }

    async fn part(&self, manifest: &Manifest, part: &str, blobs: &SplitBlobs, cache: Option<&Cache>) -> Result<Split> {
        let [images, labels] =
            [format!("{part}/images of {}", manifest.name), format!("{part}/labels of {}", manifest.name)];
        let blob =
            async |what: &str, Blob { digest, .. }: Blob| self.content(what, &blob_key(&digest), &digest, cache).await;
        let pixels = idx::read_images(&images, &blob(&images, blobs.images).await?)?;
        let classes = idx::read_labels(&labels, &blob(&labels, blobs.labels).await?)?;
        Split::checked(manifest, part, blobs.count, pixels, classes)
    }

    /// The content with this digest, verified.
    async fn content(&self, what: &str, key: &str, digest: &Digest, cache: Option<&Cache>) -> Result<Vec<u8>> {
        if let Some(cache) = cache
            && let Some(bytes) = cache.read(digest).await?
        {
            return Ok(bytes);
        }
        let location = self.bucket.location(key);
        let bytes = self
            .bucket
            .get(key)
            .await?
            .ok_or_else(|| Error::Missing { what: what.to_owned(), location: location.clone() })?;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return Err(Error::DigestMismatch { what: what.to_owned(), location, expected: *digest, actual });
        }
        if let Some(cache) = cache {
            cache.write(digest, &bytes).await?;
        }
        Ok(bytes.into())
    }

    async fn put(&self, key: &str, bytes: &[u8], content_type: &'static str) -> Result<()> {
        if self.bucket.size(key).await? == Some(bytes.len() as u64) {
            return Ok(());
        }
        self.bucket.put(key, bytes, content_type).await
    }
}

fn blob_key(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn manifest_key(digest: &Digest) -> String {
    format!("manifests/sha256/{}.json", digest.hex())
}
