//! A declared file on this machine, and whether it is the one that is pinned.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use slipway_dataset::{Cache, Store};
use slipway_digest::{Digest, Hashing};
use slipway_experiment::{Location, SourceFile};

use crate::make::Places;
use crate::{Error, Result, http};

/// A file, or a folder, on this machine.
#[derive(Debug, Clone)]
pub struct Located {
    /// The field of the declaration.
    pub field: String,
    /// Where it is from, for messages.
    pub name: String,
    /// Where in it, if it is an archive.
    pub inside: Option<String>,
    /// Where it is on this machine.
    pub path: PathBuf,
}

/// The same, and what it is.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Where it is.
    pub located: Located,
    /// The digest of the file, or of the folder's list of digests.
    pub digest: Digest,
}

/// Downloads a file, unless it is in the cache, and compares its digest with the declared one.
///
/// # Errors
/// [`Error::Problem`] if it does not exist or has another digest; if it cannot be read, downloaded or written.
pub async fn fetch(file: &SourceFile, places: &Places, store: &Store) -> Result<Fetched> {
    let cache = Cache::new(&places.cache.join("sources"));
    let (path, digest) = match &file.from {
        Location::Path(path) => {
            let path = places.project.join(path);
            let field = file.field.clone();
            let hashed = tokio::task::spawn_blocking({
                let path = path.clone();
                move || local(&path, &field)
            });
            (path, hashed.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?)
        }
        remote => {
            let found = match &file.digest {
                Some(digest) => cache.find(digest).await?.map(|_| *digest),
                None => None,
            };
            let digest = match (found, remote) {
                (Some(digest), _) => digest,
                (None, Location::S3 { bucket, key }) => object(file, bucket, key, store, &cache).await?,
                (None, address) => http::download(&address.to_string(), &file.field, &cache).await?,
            };
            (cache.path(&digest), digest)
        }
    };
    let name = file.from.to_string();
    match &file.digest {
        Some(pinned) if *pinned != digest && !places.repin => Err(Error::problem(
            &format!("{}.digest", file.field),
            "digest-mismatch",
            format!("{name} has the digest {digest}, but {pinned} is pinned"),
            "if the new content is what you want, pin it with --repin; otherwise give an address that still has the old one",
        )),
        _ => Ok(Fetched {
            located: Located { field: file.field.clone(), name, inside: file.inside.clone(), path },
            digest,
        }),
    }
}

async fn object(file: &SourceFile, bucket: &str, key: &str, store: &Store, cache: &Cache) -> Result<Digest> {
    match store.fetch_object(bucket, key, cache).await {
        Err(slipway_dataset::Error::Missing { location, .. }) => Err(Error::problem(
            &file.field,
            "not-found",
            format!("{location} does not exist"),
            "correct the bucket and the key; the endpoint is that of the dataset store",
        )),
        fetched => Ok(fetched?),
    }
}

/// The digest of a file; of a folder that of the lines that `sha256sum` prints for its files, sorted by their paths in it.
fn local(path: &Path, field: &str) -> Result<Digest> {
    let found = path.metadata().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::problem(
            field,
            "not-found",
            format!("{} does not exist", path.display()),
            "paths start at the project's folder; correct it",
        ),
        _ => Error::file("read", path, &error),
    })?;
    let digest = |path: &Path| Digest::of_file(path).map_err(|error| Error::file("read", path, &error));
    if !found.is_dir() {
        return Ok(digest(path)?.0);
    }
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(within) = folders.pop() {
        let folder = path.join(&within);
        let unreadable = |error| Error::file("read", &folder, &error);
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let name = within.join(entry.map_err(unreadable)?.file_name());
            if path.join(&name).is_dir() { folders.push(name) } else { files.push(name) }
        }
    }
    files.sort();
    let mut lines = Hashing::new(std::io::sink());
    for name in files {
        let line = format!("{}  {}\n", digest(&path.join(&name))?.0.hex(), name.display());
        lines.write_all(line.as_bytes()).map_err(|error| Error::file("read", path, &error))?;
    }
    Ok(lines.finish().1)
}
