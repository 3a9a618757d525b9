//! A layout into a registry.

use futures_util::TryStreamExt;
use oci_client::Reference;
use oci_client::errors::OciDistributionError;

use crate::client::{Options, Registry, reference};
use crate::layout::{Descriptor, MANIFESTS};
use crate::{Error, Layout, Result, digest, referrers};

/// What a push came to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pushed {
    /// `<registry>/<repository>@sha256:…`: what manifests name.
    pub image: String,
    /// `sha256:…` of the image.
    pub digest: String,
    /// The tag that points at it now.
    pub tag: Option<String>,
    /// Bytes that were sent.
    pub sent: u64,
    /// Bytes that were there already.
    pub there: u64,
}

/// Bytes of a blob that are read and sent at once.
const CHUNK: usize = 4 << 20;

/// Pushes an image and what refers to it. Blobs that are there are not sent again; a manifest goes after what it names; the tag of
/// `to`, if it has one, is set last. `tell` hears one line for each blob.
///
/// # Errors
/// When the layout is not whole, or the registry does not take it. No tag has moved then.
pub async fn push(layout: &Layout, to: &str, options: &Options, tell: impl Fn(&str)) -> Result<Pushed> {
    let target = reference(to)?;
    if let Some(digest) = target.digest() {
        let reason = format!("a push makes the digest, it cannot be asked for ({digest}): leave it out");
        return Err(Error::Reference { reference: to.to_owned(), reason });
    }
    let registry = Registry::of(&target, options).await?;
    let mut push = Push { layout, registry, to: target, sent: 0, there: 0, tell: &tell };
    let image = layout.image().clone();
    push.with_all_that_it_names(&image).await?;
    for referrer in layout.referrers() {
        push.with_all_that_it_names(referrer).await?;
    }
    referrers::list(&push.registry, &push.to, layout).await?;
    let tag = named_tag(to, &push.to);
    if let Some(tag) = &tag {
        let tagged = Reference::with_tag(push.to.registry().to_owned(), push.to.repository().to_owned(), tag.clone());
        push.manifest(&image, &tagged).await?;
    }
    let Push { to, sent, there, .. } = push;
    let name = format!("{}/{}", to.registry(), to.repository());
    Ok(Pushed { image: format!("{name}@{}", image.digest), digest: image.digest, tag, sent, there })
}

/// The tag that was asked for; the library's default of `latest` is not.
fn named_tag(text: &str, parsed: &Reference) -> Option<String> {
    let tag = parsed.tag()?;
    text.ends_with(&format!(":{tag}")).then(|| tag.to_owned())
}

struct Push<'a> {
    layout: &'a Layout,
    registry: Registry,
    to: Reference,
    sent: u64,
    there: u64,
    tell: &'a dyn Fn(&str),
}

impl Push<'_> {
    /// Sends what a manifest names, then the manifest itself by its digest.
    async fn with_all_that_it_names(&mut self, top: &Descriptor) -> Result<()> {
        for named in self.layout.named_by(top)? {
            if named.is_manifest() {
                Box::pin(self.with_all_that_it_names(&named)).await?;
            } else {
                self.blob(&named).await?;
            }
        }
        self.manifest(top, &self.to.clone_with_digest(top.digest.clone())).await
    }

    async fn blob(&mut self, blob: &Descriptor) -> Result<()> {
        let (registry, to, short) = (&self.registry, &self.to, blob.short());
        let path = self.layout.verified(blob)?;
        let is_there = async || registry.client.blob_exists(to, &blob.digest).await;
        if registry.patiently(&format!("looking for {short}"), is_there).await? {
            self.there += blob.size;
            (self.tell)(&format!("{short} is there"));
            return Ok(());
        }
        let what = format!("sending {short} ({} KiB)", blob.size.div_ceil(1024));
        let send = async || {
            // an attempt that broke off after the last byte may have succeeded
            if registry.client.blob_exists(to, &blob.digest).await? {
                return Ok(());
            }
            let file = tokio::fs::File::open(&path).await?;
            let bytes = tokio_util::io::ReaderStream::with_capacity(file, CHUNK).map_err(OciDistributionError::IoError);
            registry.client.push_blob_stream(to, bytes, &blob.digest).await.map(|_| ())
        };
        registry.patiently(&what, send).await?;
        self.sent += blob.size;
        (self.tell)(&format!("{short} sent, {} KiB", blob.size.div_ceil(1024)));
        Ok(())
    }

    /// Sends a manifest, and asks what the registry has now.
    async fn manifest(&self, manifest: &Descriptor, to: &Reference) -> Result<()> {
        let bytes = self.layout.read(manifest)?;
        let kind = MANIFESTS.into_iter().find(|kind| *kind == manifest.media_type).ok_or_else(|| Error::Refused {
            registry: self.registry.host.clone(),
            what: format!("the manifest {}", manifest.short()),
            reason: format!("{:?} is no media type of a manifest", manifest.media_type),
        })?;
        let (registry, what) = (&self.registry, format!("the manifest {to}"));
        let send = async || {
            let kind = http::HeaderValue::from_static(kind);
            registry.client.push_manifest_raw(to, bytes.clone(), kind).await.map(|_| ())
        };
        registry.patiently(&what, send).await?;
        let ask = async || registry.client.pull_manifest_raw(to, &registry.auth, &[kind]).await;
        let (answer, said) = registry.patiently(&what, ask).await?;
        let held = digest::of(&answer);
        let found = if held == manifest.digest { said } else { held };
        if found == manifest.digest {
            return Ok(());
        }
        let registry = self.registry.host.clone();
        Err(Error::OtherDigest { registry, what, expected: manifest.digest.clone(), found })
    }
}
