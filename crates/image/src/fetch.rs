//! Downloads: whole, by hash, kept in the cache.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::blocking::{Client, Response};

use crate::cache::Cache;
use crate::digest::{self, Hashing};
use crate::error::{Error, Result};
use crate::lock::Package;

/// How often a download is tried.
const TRIES: u32 = 4;

fn failed(url: &str) -> impl Fn(&dyn std::error::Error) -> Error {
    let url = url.to_owned();
    move |error| {
        // reqwest hides the reason in its sources
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            reason = format!("{reason}: {inner}");
            source = inner.source();
        }
        Error::Download { url: url.clone(), reason }
    }
}

fn open(url: &str) -> Result<Response> {
    let client = Client::builder()
        .connect_timeout(Duration::from_secs(15))
        .timeout(Duration::from_secs(300))
        .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| failed(url)(&error))?;
    client.get(url).send().map_err(|error| failed(url)(&error))
}

/// Tries again what may succeed later: a torn connection, a server that is busy.
fn patiently<T>(mut work: impl FnMut() -> Result<(T, Option<u16>)>) -> Result<(T, Option<u16>)> {
    let mut pause = Duration::from_millis(300);
    for _ in 1..TRIES {
        match work() {
            Ok((_, Some(status))) if status >= 500 || status == 429 => {}
            Err(Error::Download { .. }) => {}
            done => return done,
        }
        std::thread::sleep(pause);
        pause *= 3;
    }
    work()
}

/// The body of an answer with status 200.
pub(crate) fn get(url: &str) -> Result<Vec<u8>> {
    let (body, status) = patiently(|| {
        let mut answer = open(url)?;
        if !answer.status().is_success() {
            return Ok((Vec::new(), Some(answer.status().as_u16())));
        }
        let mut body = Vec::new();
        answer.read_to_end(&mut body).map_err(|error| failed(url)(&error))?;
        Ok((body, None))
    })?;
    match status {
        None => Ok(body),
        Some(status) => Err(Error::Download { url: url.to_owned(), reason: format!("the server answers {status}") }),
    }
}

/// A locked package from the cache, or from the mirror into the cache; never one with another hash.
pub(crate) fn package(cache: &Cache, package: &Package, image: &str) -> Result<PathBuf> {
    let folder = cache.folder("debs")?;
    let target = folder.join(format!("{}.deb", package.sha256));
    if target.is_file() {
        if digest::of_file(&target)?.0 == package.sha256 {
            return Ok(target);
        }
        std::fs::remove_file(&target).map_err(Error::file("removing", &target))?;
    }
    let url = format!("{}/{}", package.archive.mirror(), package.path);
    let ((part, found, found_size), status) = patiently(|| {
        let mut sink = Hashing::new(cache.part(&folder)?);
        let mut answer = open(&url)?;
        let status = answer.status();
        if status.is_success() {
            copy(&url, &mut answer, &mut sink)?;
        }
        Ok((sink.finish(), (!status.is_success()).then_some(status.as_u16())))
    })?;
    match status {
        None => {}
        Some(status @ (404 | 410 | 403)) => {
            return Err(Error::Gone {
                url,
                status,
                variable: package.archive.variable(),
                archive: package.archive.name(),
                image: image.to_owned(),
            });
        }
        Some(status) => return Err(Error::Download { url, reason: format!("the server answers {status}") }),
    }
    if found != package.sha256 {
        let (wanted, wanted_size) = (package.sha256.clone(), Some(package.size));
        return Err(Error::Hash { what: url, found, found_size, wanted, wanted_size });
    }
    part.persist(&target).map_err(|error| Error::file("writing", &target)(error.error))?;
    Ok(target)
}

/// Copies a body; a torn connection and a full disk are told apart.
fn copy(url: &str, from: &mut impl Read, into: &mut Hashing<tempfile::NamedTempFile>) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut buffer).map_err(|error| failed(url)(&error))?;
        if read == 0 {
            return Ok(());
        }
        into.write_all(&buffer[..read]).map_err(Error::file("writing a download into", "the cache"))?;
    }
}
