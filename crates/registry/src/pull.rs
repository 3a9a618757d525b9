//! Pulls an image out of a registry, by digest, into a layout folder.

use std::path::Path;

use oci_client::Reference;
use slipway_digest::Digest;
use slipway_oci::{Blobs, Descriptor, LayoutWriter, references};

use crate::bounded::Bounded;
use crate::client::{Options, Purpose, Registry, Session, reference};
use crate::push::short;
use crate::{Error, Result, manifest};

/// Pulls `<registry>/<repository>@sha256:…` into an OCI layout folder, with the images of all platforms. Blobs that the folder has are
/// not fetched again. Its `index.json` is written last: without it there is no image.
///
/// # Errors
/// When the reference has no digest, the registry answers with other content, or the folder cannot be written.
pub async fn pull(from: &str, folder: &Path, options: &Options) -> Result<Descriptor> {
    let reference = reference(from)?;
    let digest = reference.digest().and_then(|digest| digest.parse().ok());
    let digest = digest.ok_or_else(|| Error::NoDigest(from.to_owned()))?;
    let registry = Registry::of(&reference, Purpose::Pull, options).await?;
    let writer = LayoutWriter::open(folder).map_err(Error::Write)?;
    let pull = Pull { registry, from: reference, blobs: writer.blobs() };
    let image = pull.tree(&digest).await?;
    writer.finish(vec![image.clone()]).map_err(Error::Write)?;
    Ok(image)
}

struct Pull {
    registry: Registry,
    from: Reference,
    blobs: Blobs,
}

impl Pull {
    /// Fetches a manifest and everything that it names; the manifest itself is stored last.
    async fn tree(&self, digest: &Digest) -> Result<Descriptor> {
        let bytes = manifest::fetch(&self.registry, &self.from, digest).await?;
        let broken = |error: serde_json::Error| Error::Refused {
            registry: self.registry.host.clone(),
            what: format!("the manifest {digest}"),
            reason: format!("the answer is not a manifest: {error}"),
        };
        let media_type = manifest::media_type_of(&bytes).map_err(broken)?;
        for part in references(&bytes).map_err(broken)? {
            if part.is_manifest() {
                Box::pin(self.tree(&part.digest)).await?;
            } else {
                self.blob(&part).await?;
            }
        }
        self.blobs.put(&bytes).map_err(Error::Write)?;
        Ok(Descriptor::new(media_type, *digest, bytes.len() as u64))
    }

    async fn blob(&self, blob: &Descriptor) -> Result<()> {
        if self.blobs.has(blob).map_err(Error::Write)? {
            return Ok(());
        }
        let (digest, what) = (blob.digest.to_string(), format!("fetching {}", short(&blob.digest)));
        let part = self.blobs.part().map_err(Error::Write)?;
        let get = async |session: &Session| {
            let mut file = Bounded::new(tokio::fs::File::create(part.path()).await?, blob.size);
            session.client.pull_blob(&self.from, digest.as_str(), &mut file).await?;
            file.into_inner().sync_all().await.map_err(Into::into)
        };
        self.registry.retry(&what, get).await.map_err(|error| too_large(error, &self.registry.host, blob.size))?;
        self.blobs.keep(part, &blob.digest).map_err(Error::Write)?;
        Ok(())
    }
}

/// What it means that a [`Bounded`] refused to take more.
pub(crate) fn too_large(error: Error, registry: &str, size: u64) -> Error {
    match error {
        Error::Local { what, source } if source.kind() == std::io::ErrorKind::FileTooLarge => {
            Error::TooLarge { registry: registry.to_owned(), what, size }
        }
        error => error,
    }
}
