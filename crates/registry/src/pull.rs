//! An image out of a registry, by digest, into a layout folder.

use std::path::{Path, PathBuf};

use oci_client::Reference;

use crate::client::{Options, Registry, reference};
use crate::layout::{Descriptor, MANIFESTS, names};
use crate::{Error, Result, digest};

/// Pulls `<registry>/<repository>@sha256:…` into an OCI layout folder; of an index only the platforms of these architectures, or all
/// when none is named. What lies there already is not fetched again. The folder's `index.json` is written last: without it there is
/// no image.
///
/// # Errors
/// When the reference has no digest, the registry does not give what it names, or the folder cannot be written.
pub async fn pull(from: &str, architectures: &[&str], folder: &Path, options: &Options) -> Result<Descriptor> {
    let from_reference = reference(from)?;
    let digest = from_reference.digest().ok_or_else(|| Error::NoDigest(from.to_owned()))?.to_owned();
    let registry = Registry::of(&from_reference, options).await?;
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(write(&blobs))?;
    let pull = Pull { registry, from: from_reference, blobs, architectures };
    let top = pull.with_all_that_it_names(&digest).await?;
    put(&folder.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [&top] });
    put(&folder.join("index.json"), index.to_string().as_bytes())?;
    Ok(top)
}

struct Pull<'a> {
    registry: Registry,
    from: Reference,
    blobs: PathBuf,
    architectures: &'a [&'a str],
}

impl Pull<'_> {
    async fn with_all_that_it_names(&self, digest: &str) -> Result<Descriptor> {
        let (bytes, media_type) = self.manifest(digest).await?;
        let broken = |reason| Error::Refused {
            registry: self.registry.host.clone(),
            what: format!("the manifest {digest}"),
            reason: format!("what it sends is no manifest: {reason}"),
        };
        for named in names(&bytes).map_err(broken)? {
            let other = |platform: &crate::Platform| !self.architectures.contains(&platform.architecture.as_str());
            if !self.architectures.is_empty() && named.platform.as_ref().is_some_and(other) {
                continue;
            }
            if named.is_manifest() {
                Box::pin(self.with_all_that_it_names(&named.digest)).await?;
            } else {
                self.blob(&named).await?;
            }
        }
        put(&self.path(digest)?, &bytes)?;
        Ok(Descriptor { media_type, digest: digest.to_owned(), size: bytes.len() as u64, platform: None })
    }

    /// A manifest's bytes and its media type.
    async fn manifest(&self, digest: &str) -> Result<(Vec<u8>, String)> {
        let from = self.from.clone_with_digest(digest.to_owned());
        let what = format!("the manifest {from}");
        let ask = async || self.registry.client.pull_manifest_raw(&from, &self.registry.auth, &MANIFESTS).await;
        let (bytes, _) = self.registry.patiently(&what, ask).await?;
        let found = digest::of(&bytes);
        if found != digest {
            return Err(Error::OtherDigest {
                registry: self.registry.host.clone(),
                what,
                expected: digest.to_owned(),
                found,
            });
        }
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let said = document["mediaType"].as_str();
        let guess = if document["manifests"].is_array() { MANIFESTS[1] } else { MANIFESTS[0] };
        Ok((bytes.to_vec(), said.unwrap_or(guess).to_owned()))
    }

    async fn blob(&self, blob: &Descriptor) -> Result<()> {
        let path = self.path(&blob.digest)?;
        if digest::of_file(&path).is_ok_and(|(found, _)| found == blob.digest) {
            return Ok(());
        }
        let what = format!("fetching {} ({} KiB)", blob.short(), blob.size.div_ceil(1024));
        let part = tempfile::NamedTempFile::new_in(&self.blobs).map_err(write(&path))?;
        let get = async || {
            let mut file = tokio::fs::File::create(part.path()).await?;
            self.registry.client.pull_blob(&self.from, blob.digest.as_str(), &mut file).await?;
            file.sync_all().await.map_err(Into::into)
        };
        self.registry.patiently(&what, get).await?;
        part.persist(&path).map_err(|error| write(&path)(error.error))?;
        Ok(())
    }

    fn path(&self, digest: &str) -> Result<PathBuf> {
        let hex = digest::hex(digest).ok_or_else(|| Error::NoDigest(digest.to_owned()))?;
        Ok(self.blobs.join(hex))
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;

    let folder = path.parent().unwrap_or(Path::new("."));
    let mut part = tempfile::NamedTempFile::new_in(folder).map_err(write(path))?;
    part.write_all(bytes).map_err(write(path))?;
    part.persist(path).map_err(|error| write(path)(error.error))?;
    Ok(())
}

fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}
