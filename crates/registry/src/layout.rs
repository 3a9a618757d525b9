//! An OCI image layout folder: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, digest};

/// What names a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Such as `application/vnd.oci.image.manifest.v1+json`.
    pub media_type: String,
    /// `sha256:…`
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// For which platform, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// A platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `linux`.
    pub os: String,
}

impl Descriptor {
    /// Whether it is an index or a manifest, and not a blob.
    pub(crate) fn is_manifest(&self) -> bool {
        MANIFESTS.contains(&self.media_type.as_str())
    }

    /// The first digits of the digest, for a person.
    pub(crate) fn short(&self) -> &str {
        self.digest.get(..19).unwrap_or(&self.digest)
    }
}

/// The media type of an index.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The media types of manifests and indexes, OCI's and Docker's.
pub(crate) const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// The parts of an index or a manifest that name others.
#[derive(Debug, Deserialize)]
struct Names {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// A layout on this machine.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
    /// The image, then what refers to it.
    top: Vec<Descriptor>,
}

impl Layout {
    /// Opens a layout whose index names the image first.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("index.json");
        let wrong = |reason: String| Error::Layout { path: path.clone(), reason };
        let text = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
        let Names { manifests: top, .. } = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if top.is_empty() {
            return Err(wrong("it names no image".to_owned()));
        }
        Ok(Self { folder: folder.to_owned(), top })
    }

    /// The image: a manifest, or an index of several platforms.
    #[must_use]
    pub fn image(&self) -> &Descriptor {
        &self.top[0]
    }

    /// Manifests that refer to the image, such as its SBOM.
    #[must_use]
    pub fn referrers(&self) -> &[Descriptor] {
        &self.top[1..]
    }

    /// The file of a blob, after its content was compared with its name.
    ///
    /// # Errors
    /// [`Error::Layout`] when it is missing or not what its name says.
    pub fn verified(&self, descriptor: &Descriptor) -> Result<PathBuf> {
        let hex = digest::hex(&descriptor.digest).ok_or_else(|| Error::Layout {
            path: self.folder.clone(),
            reason: format!("it names {:?}, which is not a digest", descriptor.digest),
        })?;
        let path = self.folder.join("blobs/sha256").join(hex);
        let wrong = |reason: String| Error::Layout { path: path.clone(), reason };
        let (found, size) = digest::of_file(&path).map_err(|error| wrong(error.to_string()))?;
        if found != descriptor.digest || size != descriptor.size {
            return Err(wrong(format!("it holds {size} bytes with the digest {found}")));
        }
        Ok(path)
    }

    /// A small blob's content, verified.
    ///
    /// # Errors
    /// As [`Layout::verified`].
    pub fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let path = self.verified(descriptor)?;
        std::fs::read(&path).map_err(|error| Error::Layout { path, reason: error.to_string() })
    }

    /// What an index or a manifest names, in the order in which a registry wants it: what is named comes first.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub fn named_by(&self, descriptor: &Descriptor) -> Result<Vec<Descriptor>> {
        names(&self.read(descriptor)?)
            .map_err(|reason| Error::Layout { path: self.folder.join(&descriptor.digest), reason })
    }
}

/// What an index or a manifest names.
pub(crate) fn names(text: &[u8]) -> std::result::Result<Vec<Descriptor>, String> {
    let Names { manifests, config, layers } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    Ok(manifests.into_iter().chain(config).chain(layers).collect())
}
