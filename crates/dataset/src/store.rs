//! Datasets in a bucket of an S3 store.

use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;

use crate::cache::Cache;
use crate::{Blob, Dataset, Digest, Error, LocalDataset, Manifest, Result, Split, SplitBlobs, idx};

const ATTEMPTS: u32 = 3;
const CONNECT: Duration = Duration::from_secs(3);
/// Until the first byte of an answer.
const READ: Duration = Duration::from_secs(30);
/// Of one request, its body included.
const ATTEMPT: Duration = Duration::from_secs(300);

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
    client: aws_sdk_s3::Client,
    bucket: String,
    endpoint: String,
}

impl Store {
    /// The bucket `bucket` at `endpoint`, such as `http://127.0.0.1:9000`. Nothing is sent yet.
    #[must_use]
    pub fn new(endpoint: &str, bucket: &str, credentials: Credentials, region: &str) -> Self {
        Self::build(Some(endpoint), bucket, credentials, region)
    }

    /// As the environment says: `SLIPWAY_DATASETS` (`s3://<bucket>`; default `s3://datasets`), `AWS_ENDPOINT_URL_S3` or
    /// `AWS_ENDPOINT_URL` (default: AWS itself), `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`
    /// (default `us-east-1`).
    ///
    /// # Errors
    /// [`Error::Configuration`] when credentials are missing or `SLIPWAY_DATASETS` is not `s3://<bucket>`.
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
        Ok(Self::build(endpoint.as_deref(), bucket, credentials, &region))
    }

    fn build(endpoint: Option<&str>, bucket: &str, credentials: Credentials, region: &str) -> Self {
        let Credentials { access_key, secret_key, session_token } = credentials;
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(aws_sdk_s3::config::Credentials::new(
                access_key,
                secret_key,
                session_token,
                None,
                "slipway",
            ))
            // what every S3-alike understands: no virtual hosts, no trailing checksums
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(
                RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(Duration::from_millis(200)),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .read_timeout(READ)
                    .operation_attempt_timeout(ATTEMPT)
                    .build(),
            );
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        Self {
            client: aws_sdk_s3::Client::from_conf(config.build()),
            bucket: bucket.to_owned(),
            endpoint: endpoint.map_or_else(|| format!("AWS S3 in {region}"), str::to_owned),
        }
    }

    /// Where datasets lie, such as `s3://datasets`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("s3://{}", self.bucket)
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
        match self.client.head_bucket().bucket(&self.bucket).send().await {
            Ok(_) => return Ok(()),
            Err(error) if status(&error) == Some(404) => {}
            Err(error) => return Err(self.failed("look for", &self.uri(), &error)),
        }
        match self.client.create_bucket().bucket(&self.bucket).send().await {
            Err(error) if !matches!(error.code(), Some("BucketAlreadyOwnedByYou" | "BucketAlreadyExists")) => {
                Err(self.failed("create", &self.uri(), &error))
            }
            _ => Ok(()),
        }
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
        Ok(self.size(&manifest_key(digest)).await?.is_some())
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
        let location = self.location(key);
        let bytes =
            self.get(key).await?.ok_or_else(|| Error::Missing { what: what.to_owned(), location: location.clone() })?;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return Err(Error::DigestMismatch { what: what.to_owned(), location, expected: *digest, actual });
        }
        if let Some(cache) = cache {
            cache.write(digest, &bytes).await?;
        }
        Ok(bytes)
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let mut attempt = 1;
        loop {
            let answer = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
                Ok(answer) => answer,
                Err(error) if status(&error) == Some(404) => return Ok(None),
                Err(error) => return Err(self.failed("read", &self.location(key), &error)),
            };
            // the SDK tries the request again, not the body that breaks off after a good beginning
            match answer.body.collect().await {
                Ok(bytes) => return Ok(Some(bytes.to_vec())),
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => {
                    return Err(Error::Unreachable {
                        endpoint: self.endpoint.clone(),
                        reason: format!("{} broke off: {error}", self.location(key)),
                    });
                }
            }
        }
    }

    async fn put(&self, key: &str, bytes: &[u8], content_type: &str) -> Result<()> {
        if self.size(key).await? == Some(bytes.len() as u64) {
            return Ok(());
        }
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(bytes.to_vec()));
        request.send().await.map_err(|error| self.failed("write", &self.location(key), &error))?;
        Ok(())
    }

    async fn size(&self, key: &str) -> Result<Option<u64>> {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(head) => {
                Ok(Some(head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or_default()))
            }
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.failed("look for", &self.location(key), &error)),
        }
    }

    fn location(&self, key: &str) -> String {
        format!("s3://{}/{key} at {}", self.bucket, self.endpoint)
    }

    fn failed<E>(&self, action: &'static str, location: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let endpoint = self.endpoint.clone();
        match status(error) {
            // the SDK has tried several times
            Some(status @ 500..) => Error::Unreachable {
                endpoint,
                reason: format!("HTTP {status} after {ATTEMPTS} attempts{}", said(error)),
            },
            Some(status) => Error::Refused {
                endpoint,
                action,
                location: location.to_owned(),
                reason: format!("HTTP {status}{}", said(error)),
            },
            None => Error::Unreachable { endpoint, reason: innermost(error) },
        }
    }
}

fn blob_key(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn manifest_key(digest: &Digest) -> String {
    format!("manifests/sha256/{}.json", digest.hex())
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn said<E: ProvideErrorMetadata>(error: &SdkError<E>) -> String {
    [error.code(), error.message()].into_iter().flatten().map(|text| format!(", {text}")).collect()
}

/// The innermost cause, which is the one that says something ("Connection refused").
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    if text.is_empty() { DisplayErrorContext(error).to_string() } else { text }
}
