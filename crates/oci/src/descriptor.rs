//! Descriptors: how one document names another. <https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slipway_digest::Digest;

use crate::{Platform, media_type};

/// The media type, digest and size of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Such as `application/vnd.oci.image.manifest.v1+json`.
    pub media_type: String,
    /// The digest of its bytes; only SHA-256 is read.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The platform of a manifest in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<AnyPlatform>,
    /// What an artifact is, such as an SBOM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A platform as an index names it: also one that nothing is built for here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnyPlatform {
    /// Such as `amd64`.
    pub architecture: String,
    /// Such as `linux`.
    pub os: String,
    /// The variant of the architecture, such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Descriptor {
    /// The descriptor of a blob without platform and annotations.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            platform: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The same with a platform.
    #[must_use]
    pub fn for_platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform.into());
        self
    }

    /// The same with an artifact type.
    #[must_use]
    pub fn of_artifact(mut self, artifact_type: impl Into<String>) -> Self {
        self.artifact_type = Some(artifact_type.into());
        self
    }

    /// The same with one more annotation.
    #[must_use]
    pub fn annotated(mut self, name: &str, value: impl Into<String>) -> Self {
        self.annotations.insert(name.to_owned(), value.into());
        self
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }

    /// Whether it names an index or a manifest.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        media_type::MANIFESTS.contains(&self.media_type.as_str())
    }

    /// Whether it names an index.
    #[must_use]
    pub fn is_index(&self) -> bool {
        media_type::is_index(&self.media_type)
    }
}

impl From<Platform> for AnyPlatform {
    fn from(platform: Platform) -> Self {
        Self { architecture: platform.architecture().to_owned(), os: platform.os().to_owned(), variant: None }
    }
}

impl PartialEq<Platform> for AnyPlatform {
    fn eq(&self, platform: &Platform) -> bool {
        self.os == platform.os() && self.architecture == platform.architecture()
    }
}
