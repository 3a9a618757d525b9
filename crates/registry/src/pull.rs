//! Pulls an image out of a registry, by digest, into a layout folder.

use std::path::Path;

use oci_client::Reference;
use slipway_digest::Digest;
use slipway_oci::{Blobs, Descriptor, LayoutWriter, media_type, references};

use crate::bounded::Bounded;
use crate::client::{Options, Purpose, Registry, Session, reference};
use crate::push::short;
use crate::{Error, Result};

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
        let bytes = self.manifest(digest).await?;
        let broken = |error: serde_json::Error| Error::Refused {
            registry: self.registry.host.clone(),
            what: format!("the manifest {digest}"),
            reason: format!("the answer is not a manifest: {error}"),
        };
        let media_type = media_type_of(&bytes).map_err(broken)?;
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

    async fn manifest(&self, expected: &Digest) -> Result<Vec<u8>> {
        let from = self.from.clone_with_digest(expected.to_string());
        let what = format!("the manifest {from}");
        let ask = async |session: &Session| {
            session.client.pull_manifest_raw(&from, &session.auth, &media_type::MANIFESTS).await
        };
        let (bytes, _) = self.registry.retry(&what, ask).await?;
        let found = Digest::of(&bytes);
        if found == *expected {
            return Ok(bytes.to_vec());
        }
        let (registry, expected, found) = (self.registry.host.clone(), *expected, found.to_string());
        Err(Error::OtherDigest { registry, what, expected, found })
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
        self.registry.retry(&what, get).await.map_err(|error| match error {
            Error::Local { what, source } if source.kind() == std::io::ErrorKind::FileTooLarge => {
                Error::TooLarge { registry: self.registry.host.clone(), what, size: blob.size }
            }
            error => error,
        })?;
        self.blobs.keep(part, &blob.digest).map_err(Error::Write)?;
        Ok(())
    }
}

/// The media type that a manifest says it has. If it does not say, a list of manifests makes it an index.
fn media_type_of(bytes: &[u8]) -> serde_json::Result<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }

    let Kind { media_type, manifests } = serde_json::from_slice(bytes)?;
    let guess = if manifests.is_some() { media_type::INDEX } else { media_type::MANIFEST };
    Ok(media_type.unwrap_or_else(|| guess.to_owned()))
}
