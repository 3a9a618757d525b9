//! Another image as the base. Its layers are taken as they are, from an OCI layout in the cache; whoever talks to registries puts the
//! layout there.

use std::path::PathBuf;

use serde::Deserialize;
use slipway_digest::Digest;
use slipway_oci::{Blobs, Descriptor, Index, Layout, Manifest, Platform};

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::layer::Layer;

/// The layout folder of a base image, `<registry>/<repository>@sha256:…`, in the cache.
#[must_use]
pub fn base_folder(cache: &Cache, reference: &str) -> PathBuf {
    let hex = reference.rsplit_once("@sha256:").map_or(reference, |(_, hex)| hex);
    // named by the digest alone: several registries may have the same image
    cache.root().join("bases").join(hex)
}

/// A base image for one platform.
#[derive(Debug)]
pub(crate) struct BaseImage {
    reference: String,
    blobs: Blobs,
    manifest: Manifest,
    config: Config,
}

/// The members of an image's configuration that matter here.
#[derive(Debug, Deserialize)]
struct Config {
    architecture: String,
    #[serde(default)]
    config: RunConfig,
    rootfs: RootFs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig {
    env: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<Digest>,
}

impl BaseImage {
    pub(crate) fn open(cache: &Cache, reference: &str, platform: Platform, image: &str) -> Result<Self> {
        let unfit = |reason: String| Error::Platform {
            image: image.to_owned(),
            platform: platform.to_string(),
            reason: format!("its base {reference} {reason}"),
        };
        let layout = Layout::open(&base_folder(cache, reference))?;
        let (blobs, top) = (layout.blobs(), layout.image());
        if !reference.ends_with(&format!("@{}", top.digest)) {
            return Err(Error::malformed(layout.folder().display().to_string(), format!("it holds {}", top.digest)));
        }
        let manifest: Manifest = if top.is_index() {
            let Index { manifests, .. } = blobs.document(top)?;
            let fits = |one: &&Descriptor| one.platform.as_ref().is_some_and(|other| *other == platform);
            let found = manifests.iter().find(fits).ok_or_else(|| unfit("has no image for it".to_owned()))?;
            blobs.document(found)?
        } else {
            blobs.document(top)?
        };
        let config: Config = blobs.document(&manifest.config)?;
        if config.architecture != platform.architecture() {
            return Err(unfit(format!("is for {}", config.architecture)));
        }
        if manifest.layers.len() != config.rootfs.diff_ids.len() {
            let reason = format!(
                "its manifest has {} layers, and its configuration {}",
                manifest.layers.len(),
                config.rootfs.diff_ids.len()
            );
            return Err(Error::malformed(reference, reason));
        }
        Ok(Self { reference: reference.to_owned(), blobs, manifest, config })
    }

    /// Its environment, each variable as `NAME=value`.
    pub(crate) fn environment(&self) -> Result<Vec<String>> {
        let variables = self.config.config.env.clone().unwrap_or_default();
        match variables.iter().find(|variable| !variable.contains('=')) {
            Some(wrong) => Err(Error::malformed(&self.reference, format!("its environment has {wrong:?} without `=`"))),
            None => Ok(variables),
        }
    }

    /// Its layers, put where the cache keeps those that are made here.
    pub(crate) fn layers(&self, cache: &Cache) -> Result<Vec<Layer>> {
        cache.folder("layers/blobs")?;
        let mut layers = Vec::new();
        for (layer, diff_id) in self.manifest.layers.iter().zip(&self.config.rootfs.diff_ids) {
            let made = Layer {
                name: "base".to_owned(),
                digest: layer.digest,
                diff_id: *diff_id,
                size: layer.size,
                media_type: layer.media_type.clone(),
                stand_ins: Vec::new(),
            };
            if !made.is_whole(cache) {
                let from = self.blobs.verified(layer)?;
                let blobs = cache.layers();
                let part = blobs.part()?;
                std::fs::copy(&from, part.path()).map_err(Error::file("reading", &from))?;
                blobs.keep(part, &layer.digest)?;
            }
            layers.push(made);
        }
        Ok(layers)
    }
}
