//! Pushes a layout into a registry.

use futures_util::TryStreamExt;
use oci_client::Reference;
use oci_client::errors::OciDistributionError;

use slipway_digest::Digest;
use slipway_oci::{Descriptor, Layout, media_type};

use crate::client::{Options, Purpose, Registry, Session, reference};
use crate::{Error, Result, manifest, referrers};

/// The result of a push.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pushed {
    /// `<registry>/<repository>@sha256:…`, as in the manifests of a cluster.
    pub image: String,
    /// The image's digest.
    pub digest: Digest,
    /// The tag that points at it now; `None` if no tag was asked for.
    pub tag: Option<String>,
    /// Bytes of the blobs that were sent.
    pub sent: u64,
    /// Bytes of the blobs that the registry already had.
    pub there: u64,
}

/// How many bytes of a blob are read and sent at a time.
const CHUNK: usize = 4 << 20;

/// Pushes an image and what refers to it. Blobs that the registry has are not sent again; a manifest is sent after everything that it
/// names; the tag of `to`, if there is one, is set last. `progress` is called with a line for each blob.
///
/// # Errors
/// When the layout is incomplete or damaged, or the registry refuses a part of it. Then no tag has moved.
pub async fn push(layout: &Layout, to: &str, options: &Options, progress: impl Fn(&str)) -> Result<Pushed> {
    let target = reference(to)?;
    if let Some(digest) = target.digest() {
        let reason = format!("the digest is the result of a push: leave {digest} out");
        return Err(Error::Reference { reference: to.to_owned(), reason });
    }
    let registry = Registry::of(&target, Purpose::Push, options).await?;
    let mut push = Push { layout, registry, to: target, sent: 0, there: 0, progress: &progress };
    let image = layout.image().clone();
    push.tree(&image).await?;
    for referrer in layout.referrers() {
        push.tree(referrer).await?;
    }
    referrers::list(&push.registry, &push.to, layout).await?;
    let tag = given_tag(to, &push.to);
    if let Some(tag) = &tag {
        let tagged = Reference::with_tag(push.to.registry().to_owned(), push.to.repository().to_owned(), tag.clone());
        push.manifest(&image, &tagged).await?;
    }
    let Push { to, sent, there, .. } = push;
    let name = format!("{}/{}", to.registry(), to.repository());
    Ok(Pushed { image: format!("{name}@{}", image.digest), digest: image.digest, tag, sent, there })
}

/// The first digits of a digest, for a person.
pub(crate) fn short(digest: &Digest) -> String {
    format!("sha256:{}", &digest.hex()[..12])
}

/// The tag in the text. Without one, the library's parser says `latest`, which nobody asked for.
fn given_tag(text: &str, parsed: &Reference) -> Option<String> {
    let tag = parsed.tag()?;
    text.ends_with(&format!(":{tag}")).then(|| tag.to_owned())
}

struct Push<'a> {
    layout: &'a Layout,
    registry: Registry,
    to: Reference,
    sent: u64,
    there: u64,
    progress: &'a dyn Fn(&str),
}

impl Push<'_> {
    /// Sends everything that a manifest names, then the manifest itself by its digest.
    async fn tree(&mut self, top: &Descriptor) -> Result<()> {
        for part in self.layout.references(top).map_err(Error::Layout)? {
            if part.is_manifest() {
                Box::pin(self.tree(&part)).await?;
            } else {
                self.blob(&part).await?;
            }
        }
        self.manifest(top, &self.to.clone_with_digest(top.digest.to_string())).await
    }

    async fn blob(&mut self, blob: &Descriptor) -> Result<()> {
        let (registry, to) = (&self.registry, &self.to);
        let (digest, short) = (blob.digest.to_string(), short(&blob.digest));
        let path = self.layout.blobs().verified(blob).map_err(Error::Layout)?;
        let exists = async |session: &Session| session.client.blob_exists(to, &digest).await;
        if registry.retry(&format!("looking for {short}"), exists).await? {
            self.there += blob.size;
            (self.progress)(&format!("{short} exists"));
            return Ok(());
        }
        let what = format!("sending {short} ({} KiB)", blob.size.div_ceil(1024));
        let send = async |session: &Session| {
            // an attempt that broke off after the last byte may have succeeded
            if session.client.blob_exists(to, &digest).await? {
                return Ok(());
            }
            let file = tokio::fs::File::open(&path).await?;
            let bytes = tokio_util::io::ReaderStream::with_capacity(file, CHUNK).map_err(OciDistributionError::IoError);
            session.client.push_blob_stream(to, bytes, &digest).await.map(|_| ())
        };
        registry.retry(&what, send).await?;
        self.sent += blob.size;
        (self.progress)(&format!("{short} sent, {} KiB", blob.size.div_ceil(1024)));
        Ok(())
    }

    /// Sends a manifest, and compares it with what the registry has now.
    async fn manifest(&self, manifest: &Descriptor, to: &Reference) -> Result<()> {
        let bytes = self.layout.blobs().read(manifest).map_err(Error::Layout)?;
        let kind = media_type::MANIFESTS.into_iter().find(|kind| *kind == manifest.media_type).ok_or_else(|| {
            Error::Refused {
                registry: self.registry.host.clone(),
                what: format!("the manifest {}", short(&manifest.digest)),
                reason: format!("{:?} is not the media type of a manifest", manifest.media_type),
            }
        })?;
        manifest::send(&self.registry, to, kind, &bytes).await
    }
}
