//! Another image as the base: its layers are taken as they are, from an OCI layout in the cache that whoever talks to registries
//! has put there.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cache::Cache;
use crate::digest::of_file;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::platform::Platform;

/// The layout folder of a base, `<registry>/<repository>@sha256:…`, in the cache; whole when it has an `index.json`.
#[must_use]
pub fn base_folder(cache: &Cache, reference: &str) -> PathBuf {
    let hex = reference.rsplit_once("@sha256:").map(|(_, hex)| hex).unwrap_or_default();
    // of the digest alone: the same image may lie in several registries
    cache.root().join("bases").join(hex)
}

/// The image below, for one platform.
#[derive(Debug)]
pub(crate) struct Below {
    folder: PathBuf,
    manifest: Value,
    config: Value,
}

impl Below {
    pub(crate) fn open(cache: &Cache, reference: &str, platform: Platform, image: &str) -> Result<Self> {
        let folder = base_folder(cache, reference);
        let digest = reference.rsplit_once('@').map(|(_, digest)| digest).unwrap_or_default();
        let mut manifest = document(&folder, digest)?;
        if let Some(all) = manifest["manifests"].as_array() {
            let fits = |one: &&Value| {
                one["platform"]["architecture"] == platform.architecture() && one["platform"]["os"] == "linux"
            };
            let found =
                all.iter().find(fits).and_then(|one| one["digest"].as_str()).ok_or_else(|| Error::Platform {
                    image: image.to_owned(),
                    platform: platform.to_string(),
                    reason: format!("its base {reference} has no image for it"),
                })?;
            manifest = document(&folder, found)?;
        }
        let config = document(&folder, manifest["config"]["digest"].as_str().unwrap_or_default())?;
        if config["architecture"] != platform.architecture() {
            let reason = format!("its base {reference} is for {}", config["architecture"]);
            return Err(Error::Platform { image: image.to_owned(), platform: platform.to_string(), reason });
        }
        Ok(Self { folder, manifest, config })
    }

    /// Its environment, `NAME=value` each.
    pub(crate) fn environment(&self) -> Vec<String> {
        let lines = self.config["config"]["Env"].as_array().into_iter().flatten();
        lines.filter_map(|line| line.as_str().map(str::to_owned)).collect()
    }

    /// Its layers, put where the cache keeps those that are made here.
    pub(crate) fn layers(&self, cache: &Cache) -> Result<Vec<Layer>> {
        let blobs = cache.folder("layers/blobs")?;
        let broken = |reason: &str| Error::malformed(self.folder.display().to_string(), reason);
        let named = self.manifest["layers"].as_array().ok_or_else(|| broken("the base's manifest has no layers"))?;
        let diff_ids =
            self.config["rootfs"]["diff_ids"].as_array().ok_or_else(|| broken("the base has no diff_ids"))?;
        if named.len() != diff_ids.len() {
            return Err(broken("the base has another number of layers in its manifest than in its configuration"));
        }
        let mut layers = Vec::new();
        for (layer, diff_id) in named.iter().zip(diff_ids) {
            let text = |value: &Value| value.as_str().unwrap_or_default().trim_start_matches("sha256:").to_owned();
            let made = Layer {
                name: "base".to_owned(),
                digest: text(&layer["digest"]),
                diff_id: text(diff_id),
                size: layer["size"].as_u64().unwrap_or_default(),
                media_type: text(&layer["mediaType"]),
            };
            let (from, to) = (path(&self.folder, &format!("sha256:{}", made.digest))?, made.blob(cache));
            if !made.is_whole(cache) {
                let part = cache.part(&blobs)?;
                std::fs::copy(&from, part.path()).map_err(Error::file("reading", &from))?;
                let (found, found_size) = of_file(part.path())?;
                if found != made.digest {
                    let (wanted, what) = (made.digest, from.display().to_string());
                    return Err(Error::Hash { what, found, found_size, wanted, wanted_size: Some(made.size) });
                }
                part.persist(&to).map_err(|error| Error::file("writing", &to)(error.error))?;
            }
            layers.push(made);
        }
        Ok(layers)
    }
}

fn path(folder: &Path, digest: &str) -> Result<PathBuf> {
    let hex = digest
        .strip_prefix("sha256:")
        .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let hex = hex.ok_or_else(|| Error::malformed(folder.display().to_string(), format!("{digest:?} is no digest")))?;
    Ok(folder.join("blobs/sha256").join(hex))
}

fn document(folder: &Path, digest: &str) -> Result<Value> {
    let path = path(folder, digest)?;
    let bytes = std::fs::read(&path).map_err(Error::file("reading the base image", &path))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::malformed(path.display().to_string(), error))
}
