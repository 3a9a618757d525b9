//! The documents of an image: manifests and indexes. Members are written in the order of the fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slipway_digest::Digest;

use crate::{Descriptor, media_type};

/// A small document of an image in memory, such as its manifest or its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its media type.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The manifest of one platform's image, or of an artifact.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md>
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Its own media type; older ones leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What an artifact is, such as an SBOM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// How an image starts.
    pub config: Descriptor,
    /// The layers, bottom first; the documents of an artifact.
    pub layers: Vec<Descriptor>,
    /// The image that an artifact is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An index over manifests: of one image for several platforms, or of a layout.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    #[serde(default = "schema_version")]
    pub schema_version: u32,
    /// Its own media type; older ones leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
}

fn schema_version() -> u32 {
    2
}

impl Document {
    /// A JSON document, without spaces and with its members in order.
    #[must_use]
    pub fn new(media_type: &'static str, document: &serde_json::Value) -> Self {
        Self { media_type, bytes: document.to_string().into_bytes() }
    }

    /// The digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// How other documents name it.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type, self.digest(), self.bytes.len() as u64)
    }
}

impl Manifest {
    /// The manifest of an image.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Its JSON.
    #[must_use]
    pub fn document(&self) -> Document {
        Document { media_type: media_type::MANIFEST, bytes: json(self) }
    }
}

impl Index {
    /// An index over these manifests.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self { schema_version: schema_version(), media_type: Some(media_type::INDEX.to_owned()), manifests }
    }

    /// Its JSON.
    #[must_use]
    pub fn document(&self) -> Document {
        Document { media_type: media_type::INDEX, bytes: json(self) }
    }
}

fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("the keys of these documents are text")
}

/// What an index or a manifest names, in the order in which a registry wants it: the manifests of an index; the configuration of
/// a manifest, then its layers.
///
/// # Errors
/// When the bytes are neither.
pub fn references(bytes: &[u8]) -> Result<Vec<Descriptor>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Either {
        #[serde(default)]
        manifests: Vec<Descriptor>,
        config: Option<Descriptor>,
        #[serde(default)]
        layers: Vec<Descriptor>,
    }

    let Either { manifests, config, layers } = serde_json::from_slice(bytes)?;
    Ok(manifests.into_iter().chain(config).chain(layers).collect())
}
