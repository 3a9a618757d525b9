//! Downloads from Debian's mirrors. Each has a size that it must not exceed, and is tried again when the network or the server fails.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use backon::{BlockingRetryable, ExponentialBuilder};
use reqwest::StatusCode;
use reqwest::blocking::Response;
use slipway_digest::{Digest, Hashing};

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::lock::Package;

/// The size of a download in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    Exactly(u64),
    AtMost(u64),
}

/// Why one attempt at a download failed.
#[derive(Debug)]
enum Failure {
    /// No answer, or a torn one.
    Network(String),
    /// An answer that is not a success.
    Status(StatusCode),
    /// The file does not have the expected size: what it has instead.
    Size(String),
    /// What arrived could not be written here.
    Local(Error),
}

impl Failure {
    fn network(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Network(slipway_causes::chain(error))
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Network(_) => true,
            Self::Status(status) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Size(_) | Self::Local(_) => false,
        }
    }

    fn into_error(self, url: &str) -> Error {
        let reason = match self {
            Self::Local(error) => return error,
            Self::Network(reason) => reason,
            Self::Status(status) => format!("the server answers {}", status.as_u16()),
            Self::Size(found) => format!("the file {found}"),
        };
        Error::Download { url: url.to_owned(), reason }
    }
}

/// Makes four attempts.
fn retry<T>(attempt: impl FnMut() -> std::result::Result<T, Failure>) -> std::result::Result<T, Failure> {
    let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(300)).with_factor(3.0);
    attempt.retry(pauses.with_max_times(3).with_jitter()).sleep(std::thread::sleep).when(Failure::is_transient).call()
}

/// The answer to a request, if it is a success and does not announce another size.
fn open(url: &str, size: Size) -> std::result::Result<Response, Failure> {
    let parsed = url.parse().map_err(|error| Failure::Local(Error::malformed(format!("the URL {url}"), error)))?;
    let client = slipway_http::blocking_client_of(&parsed).build().map_err(|error| Failure::network(&error))?;
    let answer = client.get(parsed).send().map_err(|error| Failure::network(&error))?;
    if !answer.status().is_success() {
        return Err(Failure::Status(answer.status()));
    }
    let fits = |length: u64| match size {
        Size::Exactly(size) => length == size,
        Size::AtMost(most) => length <= most,
    };
    match answer.content_length() {
        Some(length) if !fits(length) => Err(Failure::Size(format!("has {length} bytes"))),
        _ => Ok(answer),
    }
}

/// Writes the body of an answer, but never more than one byte beyond its size.
fn copy(answer: Response, size: Size, into: &mut impl Write) -> std::result::Result<(), Failure> {
    let (Size::Exactly(most) | Size::AtMost(most)) = size;
    let mut body = answer.take(most + 1);
    let mut buffer = vec![0; 1 << 16];
    let mut copied = 0;
    loop {
        let read = body.read(&mut buffer).map_err(|error| Failure::network(&error))?;
        if read == 0 {
            return if copied > most { Err(Failure::Size(format!("has more than {most} bytes"))) } else { Ok(()) };
        }
        let failed = Error::file("writing a download into", "the cache");
        into.write_all(&buffer[..read]).map_err(|error| Failure::Local(failed(error)))?;
        copied += read as u64;
    }
}

/// Downloads a file into memory.
pub(crate) fn get(url: &str, size: Size) -> Result<Vec<u8>> {
    retry(|| {
        let mut body = Vec::new();
        copy(open(url, size)?, size, &mut body)?;
        Ok(body)
    })
    .map_err(|failure| failure.into_error(url))
}

/// A locked package from the cache, or from the mirror into the cache; never one with another hash.
pub(crate) fn package(cache: &Cache, package: &Package, image: &str) -> Result<PathBuf> {
    let folder = cache.folder("debs")?;
    let target = folder.join(format!("{}.deb", package.sha256.hex()));
    if target.is_file() {
        if Digest::of_file(&target).map_err(Error::file("reading", &target))?.0 == package.sha256 {
            return Ok(target);
        }
        std::fs::remove_file(&target).map_err(Error::file("removing", &target))?;
    }
    let url = format!("{}/{}", package.archive.mirror(), package.path);
    let size = Size::Exactly(package.size);
    let downloaded = retry(|| {
        let mut file = Hashing::new(cache.part(&folder).map_err(Failure::Local)?);
        copy(open(&url, size)?, size, &mut file)?;
        Ok(file.finish())
    });
    let (part, found, found_size) = downloaded.map_err(|failure| match failure {
        Failure::Status(status @ (StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN)) => Error::Gone {
            url: url.clone(),
            status: status.as_u16(),
            variable: package.archive.variable(),
            archive: package.archive.name(),
            image: image.to_owned(),
        },
        Failure::Size(found) => Error::not_locked(&url, found, package.sha256, Some(package.size)),
        failure => failure.into_error(&url),
    })?;
    if found != package.sha256 {
        let found = format!("has sha256 {} ({found_size} bytes)", found.hex());
        return Err(Error::not_locked(url, found, package.sha256, Some(package.size)));
    }
    part.persist(&target).map_err(|error| Error::file("writing", &target)(error.error))?;
    Ok(target)
}
