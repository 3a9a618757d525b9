//! Content into objects, in bounded memory.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body::{Body, Frame, SizeHint};
use slipway_digest::Hashing;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use crate::bucket::{Bucket, timeouts};
use crate::file_body::FileBody;
use crate::{Blob, Digest, Error, Result};

/// Content of more bytes is sent in parts of at least this size.
const PART: u64 = 8 << 20;
/// S3 takes no more parts of one object.
const MOST_PARTS: u64 = 10_000;
/// S3 takes no larger content in one request.
const WHOLE: u64 = 5 << 30;
/// Parts in flight; with the one that is read, the memory that an upload takes.
const CONCURRENT: usize = 3;
/// Until the answer to a request with a body of up to [`PART`] bytes begins: enough for 30 kB/s. To a larger one, from its last byte on.
const SENDING: Duration = Duration::from_secs(300);

/// Content to be uploaded.
#[derive(Debug)]
pub(crate) enum Content {
    Bytes(Bytes),
    File { path: PathBuf, file: File },
}

impl Content {
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).await.map_err(|error| unreadable(path, &error))?;
        Ok(Self::File { path: path.to_owned(), file })
    }

    /// The next `size` bytes, fewer at the end.
    async fn next(&mut self, size: u64) -> Result<Bytes> {
        match self {
            Self::Bytes(bytes) => {
                let size = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.split_to(size))
            }
            Self::File { path, file } => {
                let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
                let read = file.take(size).read_to_end(&mut bytes).await;
                read.map_err(|error| unreadable(path, &error))?;
                Ok(bytes.into())
            }
        }
    }

    fn name(&self) -> PathBuf {
        match self {
            Self::Bytes(_) => PathBuf::from("the content"),
            Self::File { path, .. } => path.clone(),
        }
    }
}

/// Content on its way, hashed as it is read.
struct Reading {
    content: Content,
    hash: Hashing<std::io::Sink>,
    number: i32,
}

impl Reading {
    fn new(content: Content) -> Self {
        Self { content, hash: Hashing::new(std::io::sink()), number: 0 }
    }

    async fn next(&mut self, size: u64) -> Result<Bytes> {
        let bytes = self.content.next(size).await?;
        self.hash.write_all(&bytes).map_err(|error| unreadable(&self.content.name(), &error))?;
        Ok(bytes)
    }

    /// Checks that everything that was read is what it should be.
    fn check(self, blob: Blob) -> Result<()> {
        let path = self.content.name();
        let (_, digest, size) = self.hash.finish();
        if (digest, size) == (blob.digest, blob.size) {
            return Ok(());
        }
        Err(Error::Source { path, reason: format!("it changed while it was uploaded: it was {}", blob.digest) })
    }
}

/// Signs a request with the digest of its body that is known already, so that the body is neither hashed nor in memory. A store that checks
/// signatures compares it with what it receives.
#[derive(Debug)]
struct KnownDigest(Digest);

impl Intercept for KnownDigest {
    fn name(&self) -> &'static str {
        "KnownDigest"
    }

    fn modify_before_signing(
        &self,
        _context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _runtime_components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(PayloadSigningOverride::Precomputed(self.0.hex()));
        Ok(())
    }
}

/// A body that drops `unsent` with its last byte.
struct Tracked {
    body: Pin<Box<SdkBody>>,
    unsent: Option<oneshot::Sender<()>>,
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = self.body.as_mut().poll_frame(context);
        if self.is_end_stream() {
            drop(self.unsent.take());
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The answer to a request whose body is [`Tracked`]; `None` if the store is silent for [`SENDING`] after the last byte. A time limit that counts from the
/// start, and has to be enough for a slow link, would wait for hours for a store that went away.
async fn answer<T>(request: impl Future<Output = T>, sent: oneshot::Receiver<()>) -> Option<T> {
    let silence = async {
        // nothing is received: the other end is dropped
        let _ = sent.await;
        tokio::time::sleep(SENDING).await;
    };
    tokio::select! {
        answer = request => Some(answer),
        () = silence => None,
    }
}

impl Bucket {
    /// Writes content, which must be `blob`, as an object. Content of more than 8 MiB is sent in parts; nothing is left of an upload
    /// that fails.
    pub(crate) async fn upload(&self, key: &str, content: Content, blob: Blob, content_type: &str) -> Result<()> {
        let mut reading = Reading::new(content);
        if blob.size <= PART {
            // one byte more, to see a file that has grown
            let bytes = reading.next(blob.size + 1).await?;
            reading.check(blob)?;
            return self.put(key, bytes, content_type).await;
        }
        let upload = self.begin_parts(key, content_type).await?;
        let sent = async {
            let parts = self.send_parts(key, &upload, &mut reading, blob.size).await?;
            reading.check(blob)?;
            self.complete_parts(key, &upload, parts, blob.size).await
        };
        let sent = sent.await;
        if sent.is_err() {
            let abort = self.client().abort_multipart_upload().bucket(self.name()).key(key).upload_id(&upload);
            if let Err(error) = abort.send().await {
                // the first error is the one to report
                tracing::warn!("{}", self.error("abort the upload of", self.uri(key), &error));
            }
        }
        sent
    }

    /// Writes a file that should be `blob`, as whoever has written it says. It is sent in one request if it is large; if that does not arrive, in parts that are
    /// sent again one by one.
    pub(crate) async fn upload_written(&self, key: &str, file: &Path, blob: Blob, content_type: &str) -> Result<()> {
        let is_one_request = PART < blob.size && blob.size <= WHOLE;
        if !is_one_request || !self.put_whole(key, file, blob, content_type).await {
            self.upload(key, Content::open(file).await?, blob, content_type).await?;
        }
        Ok(())
    }

    /// Writes a file in one request, which is not tried again; `false` if it did not arrive. Parts are read again and hashed, so they say what is wrong with
    /// the file, and small enough for every proxy.
    async fn put_whole(&self, key: &str, file: &Path, blob: Blob, content_type: &str) -> bool {
        let Ok(body) = FileBody::open(file).await else { return false };
        // not every store compares the digest
        if body.size_hint().exact() != Some(blob.size) {
            return false;
        }
        let (unsent, sent) = oneshot::channel();
        let body = Tracked { body: Box::pin(SdkBody::from_body_1_x(body)), unsent: Some(unsent) };
        let body = ByteStream::new(SdkBody::from_body_1_x(body));
        let parts = u32::try_from(blob.size.div_ceil(PART)).unwrap_or(u32::MAX);
        let config = Builder::new()
            .timeout_config(timeouts(SENDING.saturating_mul(parts)))
            .retry_config(RetryConfig::disabled());
        let put = self.client().put_object().bucket(self.name()).key(key).content_type(content_type).body(body);
        let put = put.customize().config_override(config).interceptor(KnownDigest(blob.digest)).send();
        let reason = match answer(Box::pin(put), sent).await {
            Some(Ok(_)) => return true,
            Some(Err(error)) => slipway_causes::root(&error),
            None => format!("no answer {} s after the last byte", SENDING.as_secs()),
        };
        tracing::debug!("sending {} in parts: {reason}", self.uri(key));
        false
    }

    /// Writes content that is small enough for one request.
    pub(crate) async fn put(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<()> {
        self.patiently(async || {
            let put = self.client().put_object().bucket(self.name()).key(key).content_type(content_type);
            let put = put.body(ByteStream::from(bytes.clone())).customize().config_override(sending());
            put.send().await.map(drop).map_err(|error| self.error("write", self.uri(key), &error))
        })
        .await
    }

    async fn begin_parts(&self, key: &str, content_type: &str) -> Result<String> {
        self.patiently(async || {
            let begin = self.client().create_multipart_upload().bucket(self.name()).key(key).content_type(content_type);
            let begun = begin.send().await.map_err(|error| self.error("write", self.uri(key), &error))?;
            begun.upload_id.ok_or_else(|| Error::Refused {
                endpoint: self.endpoint().to_owned(),
                action: "write",
                uri: self.uri(key),
                reason: "its answer names no upload".to_owned(),
                stale_credentials: false,
            })
        })
        .await
    }

    async fn send_parts(
        &self,
        key: &str,
        upload: &str,
        reading: &mut Reading,
        size: u64,
    ) -> Result<Vec<CompletedPart>> {
        let part_size = PART.max(size.div_ceil(MOST_PARTS));
        let failed = AtomicBool::new(false);
        let parts = stream::unfold(reading, async |reading: &mut Reading| {
            if failed.load(Ordering::Relaxed) {
                return None;
            }
            match reading.next(part_size).await {
                Ok(bytes) if bytes.is_empty() => None,
                Ok(bytes) => {
                    reading.number += 1;
                    Some((Ok((reading.number, bytes)), reading))
                }
                Err(error) => Some((Err(error), reading)),
            }
        });
        let send = async |part: Result<(i32, Bytes)>| {
            let sent = match part {
                Ok((number, bytes)) => self.send_part(key, upload, number, bytes).await,
                Err(error) => Err(error),
            };
            failed.fetch_or(sent.is_err(), Ordering::Relaxed);
            sent
        };
        // parts that are on their way are waited for: one that arrived after the upload was aborted would stay in the bucket
        let sent: Vec<_> = parts.map(send).buffered(CONCURRENT).collect().await;
        sent.into_iter().collect()
    }

    async fn send_part(&self, key: &str, upload: &str, number: i32, bytes: Bytes) -> Result<CompletedPart> {
        self.patiently(async || {
            let part = self.client().upload_part().bucket(self.name()).key(key).upload_id(upload).part_number(number);
            let part = part.body(ByteStream::from(bytes.clone())).customize().config_override(sending());
            let sent = part.send().await.map_err(|error| self.error("write", self.uri(key), &error))?;
            Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build())
        })
        .await
    }

    async fn complete_parts(&self, key: &str, upload: &str, parts: Vec<CompletedPart>, size: u64) -> Result<()> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        self.patiently(async || {
            let complete = self.client().complete_multipart_upload().bucket(self.name()).key(key).upload_id(upload);
            let complete = complete.multipart_upload(parts.clone()).customize().config_override(sending());
            match complete.send().await {
                Ok(_) => Ok(()),
                // an earlier attempt completed it, and its answer was lost
                Err(error) if error.code() == Some("NoSuchUpload") && self.size(key).await? == Some(size) => Ok(()),
                Err(error) => Err(self.error("write", self.uri(key), &error)),
            }
        })
        .await
    }
}

fn sending() -> Builder {
    Builder::new().timeout_config(timeouts(SENDING))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let action = if error.kind() == ErrorKind::NotFound { "find" } else { "read" };
    Error::File { action, path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    #[tokio::test]
    async fn a_body_tells_when_its_last_byte_is_taken() {
        let (unsent, mut sent) = oneshot::channel();
        let body = Tracked { body: Box::pin(SdkBody::from("content")), unsent: Some(unsent) };
        let mut body = ByteStream::new(SdkBody::from_body_1_x(body));
        assert_eq!(body.size_hint(), (7, Some(7)));
        assert_eq!(sent.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(body.next().await.unwrap().unwrap(), "content");
        assert_eq!(sent.try_recv(), Err(TryRecvError::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_may_be_silent_while_it_receives_but_not_forever_afterwards() {
        let (unsent, sent) = oneshot::channel();
        let slow = async move {
            tokio::time::sleep(SENDING * 10).await;
            drop(unsent);
            tokio::time::sleep(SENDING / 2).await;
        };
        assert_eq!(answer(slow, sent).await, Some(()));
        let (unsent, sent) = oneshot::channel();
        drop(unsent);
        assert_eq!(answer(std::future::pending::<()>(), sent).await, None);
    }
}
