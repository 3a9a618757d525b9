//! Images that were built. Their layers are in the cache.

use serde::Serialize;
use slipway_digest::Digest;
use slipway_oci::{Document, Platform};

use crate::layer::Layer;
use crate::lock::Locked;
use crate::revision::Revision;

/// An image for one platform or several.
#[derive(Clone, Debug)]
pub struct Built {
    /// The image's name.
    pub name: String,
    /// The commit that it was built from.
    pub revision: Revision,
    /// At least one, in the order of [`Platform`].
    pub images: Vec<PlatformImage>,
    /// The index over them; `None` for a single platform.
    pub index: Option<Document>,
}

/// The image of one platform.
#[derive(Clone, Debug)]
pub struct PlatformImage {
    /// The platform.
    pub platform: Platform,
    /// The layers, bottom first.
    pub layers: Vec<Layer>,
    /// How the image starts.
    pub config: Document,
    /// The manifest, which names the configuration and the layers.
    pub manifest: Document,
    /// The lock's entry for the platform.
    pub locked: Locked,
}

/// What `slipway image build -o json` prints for an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The image's name.
    pub name: String,
    /// Of the manifest, or of the index over several platforms.
    pub digest: Digest,
    /// Compressed bytes of all layers; a layer that two platforms share counts once.
    pub size: u64,
    /// Such as `linux/amd64`.
    pub platforms: Vec<String>,
}

impl Built {
    /// What the image is pulled by: the index if there is one, otherwise the manifest.
    #[must_use]
    pub fn top(&self) -> &Document {
        self.index.as_ref().unwrap_or(&self.images[0].manifest)
    }

    /// Name, digest, size and platforms.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut layers: Vec<&Layer> = self.images.iter().flat_map(|image| &image.layers).collect();
        layers.sort_by_key(|layer| layer.digest);
        layers.dedup_by_key(|layer| layer.digest);
        Summary {
            name: self.name.clone(),
            digest: self.top().digest(),
            size: layers.iter().map(|layer| layer.size).sum(),
            platforms: self.images.iter().map(|image| image.platform.to_string()).collect(),
        }
    }
}
