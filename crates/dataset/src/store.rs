//! Datasets in a bucket of an S3 store.

use std::path::{Path, PathBuf};

use crate::bucket::Bucket;
use crate::cache::{Cache, Part};
use crate::download::{Downloaded, Size};
use crate::upload::Content;
use crate::{
    Blob, Dataset, Digest, Error, Format, Idx, IdxBlobs, LocalDataset, Manifest, Result, RetryBudget, Split,
    environment, idx,
};

/// A manifest is not larger; this crate writes them with less than 2 kB.
const MANIFEST: u64 = 1 << 20;

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
    /// The bucket `bucket` at `endpoint`, such as `http://127.0.0.1:9000`, for a person who waits. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Configuration`] if `endpoint` is not an http or https address.
    pub fn new(endpoint: &str, bucket: &str, credentials: Credentials, region: &str) -> Result<Self> {
        Ok(Self { bucket: Bucket::new(endpoint, bucket, credentials, region, RetryBudget::Interactive)? })
    }

    /// The store that the environment names: `SLIPWAY_DATASETS` (`s3://<bucket>`; default `s3://datasets`), `SLIPWAY_S3_ADDRESSING`
    /// (`path` or `virtual`; default `path` if an endpoint is given), and what AWS's own tools read. Endpoint: `AWS_ENDPOINT_URL_S3`,
    /// `AWS_ENDPOINT_URL`, the profile's, AWS. Region: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, the instance's, `us-east-1`.
    /// Credentials: environment, profile (SSO and assumed roles included), web identity, Pod Identity, instance metadata; those that
    /// expire are renewed. Credentials are looked for when the first request is sent.
    ///
    /// # Errors
    /// [`Error::Configuration`] if `SLIPWAY_DATASETS` or `SLIPWAY_S3_ADDRESSING` is malformed, the endpoint is not an address, or only one
    /// of `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` is set.
    pub async fn from_env(budget: RetryBudget) -> Result<Self> {
        Ok(Self { bucket: Bucket::from_env(environment::datasets()?, budget).await? })
    }

    /// Another bucket of the same endpoint, with the same keys and connections.
    #[must_use]
    pub fn beside(&self, bucket: &str) -> Self {
        Self { bucket: self.bucket.beside(bucket) }
    }

    /// Where datasets are, such as `s3://datasets`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("s3://{}", self.bucket.name())
    }

    /// Which store this is, for a person: `s3://datasets at http://127.0.0.1:9000`, or `s3://datasets at AWS in eu-central-1`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{} at {}", self.uri(), self.bucket.endpoint())
    }

    /// Creates the bucket unless it exists. Safe to call concurrently. A key without the right to ask is assumed to have a bucket.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn ensure_bucket(&self) -> Result<()> {
        self.bucket.ensure().await
    }

    /// Stores a dataset and returns its digest. Blobs that the store has are not sent again; the manifest comes last, so that a
    /// manifest in the store means that its blobs are there.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn push(&self, dataset: &LocalDataset) -> Result<Digest> {
        self.ensure_bucket().await?;
        for (blob, stored) in dataset.blobs() {
            self.put(&blob_key(&blob.digest), stored.open().await?, blob, "application/octet-stream").await?;
        }
        let manifest = dataset.canonical();
        let (digest, size) = (dataset.digest(), manifest.len() as u64);
        self.put(&manifest_key(&digest), Content::Bytes(manifest), Blob { digest, size }, "application/json").await?;
        Ok(digest)
    }

    /// Stores a manifest whose blobs are in the store.
    ///
    /// # Errors
    /// [`Error::Missing`] if a blob is not; if the store cannot be reached or refuses.
    pub async fn push_manifest(&self, manifest: &Manifest) -> Result<Digest> {
        for (part, blob) in manifest.blobs() {
            if !self.has(blob).await? {
                let what = format!("{part} of {}", manifest.name);
                return Err(Error::Missing { what, location: self.bucket.location(&blob_key(&blob.digest)) });
            }
        }
        let bytes = manifest.canonical()?;
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        let content = Content::Bytes(bytes.into());
        self.put(&manifest_key(&digest), content, Blob { digest, size }, "application/json").await?;
        Ok(digest)
    }

    /// Stores a file that this process has written, that nobody else writes, and that is `blob`; in bounded memory, into a bucket that exists. A large one is not
    /// hashed again: its request is signed with the blob's own digest, by which the store checks what it receives.
    ///
    /// # Errors
    /// If the file cannot be read or is something else; if the store cannot be reached or refuses.
    pub async fn push_written(&self, file: &Path, blob: Blob) -> Result<()> {
        let key = blob_key(&blob.digest);
        if self.bucket.size(&key).await? == Some(blob.size) {
            return Ok(());
        }
        self.bucket.upload_written(&key, file, blob, "application/octet-stream").await
    }

    /// Whether a blob is known to be in the store; its content is not read.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn has(&self, blob: Blob) -> Result<bool> {
        Ok(self.bucket.size(&blob_key(&blob.digest)).await? == Some(blob.size))
    }

    pub(crate) fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Stores a file by its content, in bounded memory, into a bucket that exists.
    ///
    /// # Errors
    /// If the file cannot be read or changes meanwhile; if the store cannot be reached or refuses.
    pub async fn push_file(&self, file: &Path) -> Result<Blob> {
        let path = file.to_owned();
        let hashed = tokio::task::spawn_blocking(move || Digest::of_file(&path)).await;
        let unreadable = |error: String| Error::File { action: "read", path: file.to_owned(), reason: error };
        let (digest, size) =
            hashed.map_err(|error| unreadable(error.to_string()))?.map_err(|error| unreadable(error.to_string()))?;
        let blob = Blob { digest, size };
        self.put(&blob_key(&digest), Content::open(file).await?, blob, "application/octet-stream").await?;
        Ok(blob)
    }

    /// Reads a blob into a file of `cache_dir`, verified and in bounded memory, unless it is there already.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] if the store holds something else, [`Error::Missing`] if it does not hold it; if the store cannot be
    /// reached.
    pub async fn fetch_file(&self, blob: Blob, cache_dir: &Path) -> Result<PathBuf> {
        self.fetch_blob(&format!("the blob {}", blob.digest), blob, &Cache::new(cache_dir)).await
    }

    /// The same; `what` is named in errors.
    pub(crate) async fn fetch_blob(&self, what: &str, blob: Blob, cache: &Cache) -> Result<PathBuf> {
        if let Some(path) = cache.find(&blob.digest).await? {
            return Ok(path);
        }
        self.download(what, &blob_key(&blob.digest), &blob.digest, Size::Exactly(blob.size), cache).await?;
        Ok(cache.path(&blob.digest))
    }

    /// Reads a blob into a file without a name, verified and in bounded memory. It takes space on the cache's disk until it is dropped.
    pub(crate) async fn fetch_archive(&self, what: &str, blob: Blob, cache: &Cache) -> Result<std::fs::File> {
        let key = blob_key(&blob.digest);
        let mut part = cache.part().await?;
        self.read_into(what, &key, &blob.digest, Size::Exactly(blob.size), &mut part).await?;
        part.into_file(&blob.digest).await?.map_err(|actual| self.mismatch(what, &key, &blob.digest, &actual))
    }

    /// Reads any object of the same endpoint, `s3://bucket/key`, into `cache`, in bounded memory; gives the digest of what it holds.
    ///
    /// # Errors
    /// [`Error::Missing`] if it does not exist; if the store cannot be reached or refuses, or the cache cannot be written.
    pub async fn fetch_object(&self, bucket: &str, key: &str, cache: &Cache) -> Result<Digest> {
        let bucket = self.bucket.beside(bucket);
        let mut part = cache.part().await?;
        match bucket.download(key, Size::AtMost(u64::MAX), &mut part).await? {
            Downloaded::Missing => {
                Err(Error::Missing { what: "the object".to_owned(), location: bucket.location(key) })
            }
            Downloaded::Whole | Downloaded::WrongSize(_) => part.keep_whatever(cache).await,
        }
    }

    /// Whether a manifest with this digest is known to be in the store; its content is not read. `false` also if the key may not know.
    ///
    /// # Errors
    /// If the store cannot be reached or refuses.
    pub async fn contains(&self, digest: &Digest) -> Result<bool> {
        Ok(self.bucket.size(&manifest_key(digest)).await?.is_some())
    }

    /// Reads a dataset of IDX files: from `cache_dir` if it is there, otherwise from the store and into `cache_dir`. Every read is verified.
    /// [`Store::unpack`] gives datasets of all forms, as files.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] if it is of another form. [`Error::DigestMismatch`] if the store holds something else than the digest says, [`Error::Missing`] if it lacks a
    /// part, [`Error::Idx`] and [`Error::Inconsistent`] if a part is not what the manifest says; if the store cannot be
    /// reached.
    pub async fn fetch(&self, digest: &Digest, cache_dir: &Path) -> Result<Dataset> {
        let cache = Cache::new(cache_dir);
        let manifest = self.manifest(digest, &cache).await?;
        let Format::Idx(content) = &manifest.content else {
            let reason = format!("it is stored as `{}`, and only `idx` can be read as tensors", manifest.format());
            return Err(Error::Inconsistent { name: manifest.name, reason });
        };
        self.read(digest, &manifest, content, &cache).await
    }

    /// Reads every part of a dataset from the store, past any cache, and checks it.
    ///
    /// # Errors
    /// As [`Store::fetch`].
    pub async fn verify(&self, digest: &Digest) -> Result<Manifest> {
        let folder =
            tempfile::tempdir().map_err(|error| Error::file("create a folder in", &std::env::temp_dir(), &error))?;
        let cache = Cache::new(folder.path());
        let manifest = self.manifest(digest, &cache).await?;
        if let Format::Idx(content) = &manifest.content {
            self.read(digest, &manifest, content, &cache).await?;
        } else {
            for (part, blob) in manifest.blobs() {
                self.fetch_archive(&format!("{part} of {}", manifest.name), blob, &cache).await?;
            }
        }
        Ok(manifest)
    }

    pub(crate) async fn manifest(&self, digest: &Digest, cache: &Cache) -> Result<Manifest> {
        let what = format!("the manifest of the dataset {digest}");
        let bytes = self.content(&what, &manifest_key(digest), digest, Size::AtMost(MANIFEST), cache).await?;
        Manifest::parse(digest, &bytes)
    }

    async fn read(&self, digest: &Digest, manifest: &Manifest, content: &Idx, cache: &Cache) -> Result<Dataset> {
        let part = async |name: &'static str, blobs: &IdxBlobs| self.part(manifest, content, name, blobs, cache).await;
        let (train, validation, test) = tokio::try_join!(
            part("train", &content.splits.train),
            part("validation", &content.splits.validation),
            part("test", &content.splits.test),
        )?;
        let (name, shape, classes) = (manifest.name.clone(), content.shape, content.classes);
        Ok(Dataset { name, digest: *digest, shape, classes, train, validation, test })
    }

    async fn part(
        &self,
        manifest: &Manifest,
        content: &Idx,
        part: &str,
        blobs: &IdxBlobs,
        cache: &Cache,
    ) -> Result<Split> {
        let [images, labels] =
            [format!("{part}/images of {}", manifest.name), format!("{part}/labels of {}", manifest.name)];
        let blob = async |what: &str, Blob { digest, size }: Blob| {
            self.content(what, &blob_key(&digest), &digest, Size::Exactly(size), cache).await
        };
        let pixels = idx::read_images(&images, &blob(&images, blobs.images).await?)?;
        let classes = idx::read_labels(&labels, &blob(&labels, blobs.labels).await?)?;
        Split::checked(&manifest.name, content, part, blobs.count, pixels, classes)
    }

    /// The verified content with this digest.
    async fn content(&self, what: &str, key: &str, digest: &Digest, size: Size, cache: &Cache) -> Result<Vec<u8>> {
        if let Some(bytes) = cache.read(digest).await? {
            return Ok(bytes);
        }
        self.download(what, key, digest, size, cache).await?;
        cache.read(digest).await?.ok_or_else(|| Error::Source {
            path: cache.path(digest),
            reason: "it changed right after it was written; give the cache a folder of its own".to_owned(),
        })
    }

    /// Fills the cache from the store.
    async fn download(&self, what: &str, key: &str, digest: &Digest, size: Size, cache: &Cache) -> Result<()> {
        let mut part = cache.part().await?;
        self.read_into(what, key, digest, size, &mut part).await?;
        let actual = part.keep(cache, digest).await?;
        if actual == *digest { Ok(()) } else { Err(self.mismatch(what, key, digest, &actual)) }
    }

    /// Reads an object of a size that fits; its content is not verified yet.
    async fn read_into(&self, what: &str, key: &str, digest: &Digest, size: Size, part: &mut Part) -> Result<()> {
        match self.bucket.download(key, size, part).await? {
            Downloaded::Whole => Ok(()),
            Downloaded::Missing => Err(Error::Missing { what: what.to_owned(), location: self.bucket.location(key) }),
            Downloaded::WrongSize(actual) => Err(Error::DigestMismatch {
                what: what.to_owned(),
                location: self.bucket.location(key),
                expected: format!("{size} of {digest}"),
                actual,
            }),
        }
    }

    fn mismatch(&self, what: &str, key: &str, expected: &Digest, actual: &Digest) -> Error {
        Error::DigestMismatch {
            what: what.to_owned(),
            location: self.bucket.location(key),
            expected: expected.to_string(),
            actual: actual.to_string(),
        }
    }

    async fn put(&self, key: &str, content: Content, blob: Blob, content_type: &str) -> Result<()> {
        if self.bucket.size(key).await? == Some(blob.size) {
            return Ok(());
        }
        self.bucket.upload(key, content, blob, content_type).await
    }
}

fn blob_key(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn manifest_key(digest: &Digest) -> String {
    format!("manifests/sha256/{}.json", digest.hex())
}
