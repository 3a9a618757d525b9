//! One index over images that were built and pushed on machines of several architectures.
//!
//! The images stay as they are, and with them what refers to them: SBOM and provenance name the digest of one platform's image.

use std::collections::BTreeMap;

use oci_client::Reference;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use slipway_digest::Digest;
use slipway_oci::{AnyPlatform, Descriptor, Document, Index, Manifest, media_type};

use crate::bounded::Bounded;
use crate::client::{Options, Purpose, Registry, Session, reference};
use crate::manifest;
use crate::pull::too_large;
use crate::push::short;
use crate::{Error, Result};

/// How BuildKit marks the entry of an index that is an attestation, and not an image: with this annotation, and that of its image.
/// <https://github.com/moby/buildkit/blob/v0.25.0/docs/attestations/attestation-storage.md>
const ATTESTATION: &str = "vnd.docker.reference.type";
const ATTESTATION_OF: &str = "vnd.docker.reference.digest";
/// The largest configuration that is read into memory.
const LARGEST_CONFIGURATION: u64 = 16 << 20;

/// An index whose parts were read and verified, and that is not pushed yet.
pub struct Combined {
    registry: Registry,
    repository: Reference,
    tag: Option<Reference>,
    index: Document,
    platforms: BTreeMap<String, Digest>,
}

/// The result of [`Combined::push`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Indexed {
    /// `<registry>/<repository>@sha256:…`, as in the manifests of a cluster.
    pub image: String,
    /// The index's digest.
    pub digest: Digest,
    /// The tag that points at it now; `None` if no tag was asked for.
    pub tag: Option<String>,
    /// The digest of each platform's image, by platform such as `linux/amd64`.
    pub platforms: BTreeMap<String, Digest>,
}

/// Reads `<registry>/<repository>@sha256:…` of one repository, each an image or an index, and makes one index over their images, sorted by
/// platform. Nothing is written. The same images give the same bytes, in whatever order they are given.
///
/// # Errors
/// When a reference has no digest or is of another repository, what the registry has is not an image or is damaged, two images are of one
/// platform, or all are.
pub async fn combine(images: &[String], tag: Option<&str>, options: &Options) -> Result<Combined> {
    let mut given = Vec::new();
    for image in images {
        given.push(by_digest(image)?);
    }
    let Some((first, _)) = given.first() else {
        return Err(Error::Reference { reference: String::new(), reason: "an index needs images".to_owned() });
    };
    let repository = name(first);
    for ((other, _), text) in given.iter().zip(images) {
        if name(other) != repository {
            let reason = format!("an index is of one repository, and the first image is of {repository}");
            return Err(Error::Reference { reference: text.clone(), reason });
        }
    }
    let tag = tag.map(|tag| tagged(&repository, tag)).transpose()?;
    let registry = Registry::of(first, Purpose::Push, options).await?;
    let repository = first.clone();
    let mut parts = Parts { registry: &registry, from: &repository, images: Vec::new(), attestations: Vec::new() };
    for (_, digest) in &given {
        parts.add(digest).await?;
    }
    let (manifests, platforms) = parts.sorted()?;
    let index = Index::new(manifests).document();
    Ok(Combined { registry, repository, tag, index, platforms })
}

impl Combined {
    /// Pushes the index by its digest, then sets the tag.
    ///
    /// # Errors
    /// When the registry refuses. Then the tag has not moved.
    pub async fn push(self) -> Result<Indexed> {
        let digest = self.index.digest();
        let by_digest = self.repository.clone_with_digest(digest.to_string());
        for to in [Some(&by_digest), self.tag.as_ref()].into_iter().flatten() {
            manifest::send(&self.registry, to, self.index.media_type, &self.index.bytes).await?;
        }
        let tag = self.tag.as_ref().and_then(Reference::tag).map(str::to_owned);
        Ok(Indexed { image: format!("{}@{digest}", name(&self.repository)), digest, tag, platforms: self.platforms })
    }
}

/// A reference with a digest and no tag.
fn by_digest(text: &str) -> Result<(Reference, Digest)> {
    let reference = reference(text)?;
    let digest = reference.digest().and_then(|digest| digest.parse().ok());
    let digest = digest.ok_or_else(|| Error::NoDigest(text.to_owned()))?;
    if let Some(tag) = reference.tag() {
        let reason = format!("the digest says which image it is: leave the tag {tag} out");
        return Err(Error::Reference { reference: text.to_owned(), reason });
    }
    Ok((reference, digest))
}

fn name(image: &Reference) -> String {
    format!("{}/{}", image.registry(), image.repository())
}

fn tagged(repository: &str, tag: &str) -> Result<Reference> {
    let text = format!("{repository}:{tag}");
    let to = reference(&text)?;
    if to.tag() == Some(tag) && to.digest().is_none() {
        return Ok(to);
    }
    Err(Error::Reference { reference: text, reason: format!("{tag:?} is not a tag") })
}

/// What an index is made of.
struct Parts<'a> {
    registry: &'a Registry,
    from: &'a Reference,
    images: Vec<(AnyPlatform, Descriptor)>,
    attestations: Vec<(Digest, Descriptor)>,
}

/// A document by what it holds.
enum Content {
    Image(Box<Manifest>),
    Index(Index),
}

/// The part of a configuration that says where an image runs.
#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    variant: Option<String>,
}

impl Parts<'_> {
    /// An image, or those of an index.
    async fn add(&mut self, digest: &Digest) -> Result<()> {
        let (found, content) = self.document(digest).await?;
        let index = match content {
            Content::Image(image) => return self.image(found, &image).await,
            Content::Index(index) => index,
        };
        let (attestations, images): (Vec<_>, Vec<_>) =
            index.manifests.into_iter().partition(|entry| entry.annotation(ATTESTATION).is_some());
        for entry in &images {
            let found = self.entry(entry).await?;
            let Content::Image(image) = found else {
                return Err(self.unfit(&entry.digest, format!("it is an index inside of the index {digest}")));
            };
            self.image(entry.clone(), &image).await?;
        }
        for entry in attestations {
            let of = entry.annotation(ATTESTATION_OF).and_then(|of| of.parse().ok());
            let of = of.filter(|of| images.iter().any(|image| image.digest == *of));
            let of = of.ok_or_else(|| self.unfit(&entry.digest, "it is an attestation of no image in its index"))?;
            self.entry(&entry).await?;
            self.attestations.push((of, entry));
        }
        Ok(())
    }

    /// What an entry of an index names, after it was compared with the entry.
    async fn entry(&self, entry: &Descriptor) -> Result<Content> {
        let (found, content) = self.document(&entry.digest).await?;
        for (what, said, is) in [
            ("bytes", entry.size.to_string(), found.size.to_string()),
            ("as its media type", entry.media_type.clone(), found.media_type),
        ] {
            if said != is {
                return Err(self.unfit(&entry.digest, format!("it has {is} {what}, and its index says {said}")));
            }
        }
        Ok(content)
    }

    /// Takes an image, with the platform that its configuration says.
    async fn image(&mut self, entry: Descriptor, image: &Manifest) -> Result<()> {
        let config = &image.config;
        if ![media_type::CONFIG, media_type::DOCKER_CONFIG].contains(&config.media_type.as_str()) {
            let reason = format!("it is not an image: its configuration is {:?}", config.media_type);
            return Err(self.unfit(&entry.digest, reason));
        }
        let bytes = self.configuration(&entry.digest, config).await?;
        let read: Configuration = serde_json::from_slice(&bytes)
            .map_err(|error| self.unfit(&entry.digest, format!("its configuration cannot be read: {error}")))?;
        // signatures and attestations may look like images, but run nowhere
        if [&read.os, &read.architecture].into_iter().any(|part| part.is_empty() || part == "unknown") {
            return Err(self.unfit(&entry.digest, "its configuration does not say for which platform it is"));
        }
        let platform = AnyPlatform { architecture: read.architecture, os: read.os, variant: read.variant };
        // an index may leave out or add the variant, which says the same as the architecture in most cases
        if let Some(said) = &entry.platform
            && ((&said.os, &said.architecture) != (&platform.os, &platform.architecture)
                || said.variant.is_some() && platform.variant.is_some() && said.variant != platform.variant)
        {
            let reason = format!("it is for {}, and its index says {}", shown(&platform), shown(said));
            return Err(self.unfit(&entry.digest, reason));
        }
        let platform = entry.platform.clone().filter(|said| said.variant.is_some()).unwrap_or(platform);
        self.images.push((platform.clone(), Descriptor { platform: Some(platform), ..entry }));
        Ok(())
    }

    async fn configuration(&self, image: &Digest, blob: &Descriptor) -> Result<Vec<u8>> {
        if blob.size > LARGEST_CONFIGURATION {
            return Err(self.unfit(image, format!("its configuration has {} bytes, which is too many", blob.size)));
        }
        let (digest, what) = (blob.digest.to_string(), format!("fetching {}", short(&blob.digest)));
        let get = async |session: &Session| {
            let mut bytes = Bounded::new(Vec::new(), blob.size);
            session.client.pull_blob(self.from, digest.as_str(), &mut bytes).await?;
            Ok(bytes.into_inner())
        };
        let bytes = self.registry.retry(&what, get).await;
        let bytes = bytes.map_err(|error| too_large(error, &self.registry.host, blob.size))?;
        let found = Digest::of(&bytes);
        if found != blob.digest {
            let (registry, found) = (self.registry.host.clone(), found.to_string());
            return Err(Error::OtherDigest { registry, what, expected: blob.digest, found });
        }
        if bytes.len() as u64 != blob.size {
            let reason = format!("its configuration has {} bytes, and its manifest says {}", bytes.len(), blob.size);
            return Err(self.unfit(image, reason));
        }
        Ok(bytes)
    }

    async fn document(&self, digest: &Digest) -> Result<(Descriptor, Content)> {
        let bytes = manifest::fetch(self.registry, self.from, digest).await?;
        let (media_type, content) = content(&bytes).map_err(|reason| self.unfit(digest, reason))?;
        Ok((Descriptor::new(media_type, *digest, bytes.len() as u64), content))
    }

    /// The entries of the index, images first, and the digest of each platform's image.
    fn sorted(mut self) -> Result<(Vec<Descriptor>, BTreeMap<String, Digest>)> {
        self.images.sort_by_cached_key(|(platform, image)| (shown(platform), image.digest));
        let mut platforms = BTreeMap::new();
        for (platform, image) in &self.images {
            let platform = shown(platform);
            if let Some(other) = platforms.insert(platform.clone(), image.digest) {
                let reason = format!("it is for {platform}, as {other} is: give one image of each platform");
                return Err(self.unfit(&image.digest, reason));
            }
        }
        if let [(platform, image)] = self.images.as_slice() {
            let reason = format!("it is for {}, and no image of another platform was given", shown(platform));
            return Err(self.unfit(&image.digest, reason));
        }
        if self.images.is_empty() {
            let reason = "there is no image in it".to_owned();
            return Err(Error::NotIndexable { image: self.from.to_string(), reason });
        }
        let mut manifests: Vec<Descriptor> = self.images.iter().map(|(_, image)| image.clone()).collect();
        for image in manifests.clone() {
            let mut attestations: Vec<_> = self
                .attestations
                .iter()
                .filter(|(of, _)| *of == image.digest)
                .map(|(_, entry)| entry.clone())
                .collect();
            attestations.sort_by_key(|entry| entry.digest);
            manifests.extend(attestations);
        }
        Ok((manifests, platforms))
    }

    fn unfit(&self, digest: &Digest, reason: impl Into<String>) -> Error {
        Error::NotIndexable { image: format!("{}@{digest}", name(self.from)), reason: reason.into() }
    }
}

/// A manifest or an index with its media type.
fn content(bytes: &[u8]) -> std::result::Result<(String, Content), String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        schema_version: u32,
        manifests: Option<IgnoredAny>,
        config: Option<IgnoredAny>,
        layers: Option<IgnoredAny>,
    }

    let shape: Shape = document(bytes)?;
    // readers that trust the media type and readers that trust the members would see two different images
    if shape.manifests.is_some() && (shape.config.is_some() || shape.layers.is_some()) {
        return Err("it is a manifest and an index at once".to_owned());
    }
    if shape.schema_version != 2 {
        return Err(format!("its schemaVersion is {}, and only 2 is known", shape.schema_version));
    }
    let kind = manifest::media_type_of(bytes).map_err(|error| error.to_string())?;
    if !media_type::MANIFESTS.contains(&kind.as_str()) {
        return Err(format!("{kind:?} is not the media type of a manifest"));
    }
    let content =
        if media_type::is_index(&kind) { Content::Index(document(bytes)?) } else { Content::Image(document(bytes)?) };
    Ok((kind, content))
}

fn document<T: DeserializeOwned>(bytes: &[u8]) -> std::result::Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("it is not a manifest: {error}"))
}

/// Such as `linux/arm64` or `linux/arm/v7`. The variant v8 of arm64 is the only one, and most images leave it out.
fn shown(platform: &AnyPlatform) -> String {
    let variant =
        platform.variant.as_deref().filter(|variant| (platform.architecture.as_str(), *variant) != ("arm64", "v8"));
    let variant = variant.map(|variant| format!("/{variant}")).unwrap_or_default();
    format!("{}/{}{variant}", platform.os, platform.architecture)
}
