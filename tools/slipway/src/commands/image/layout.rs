//! Images as OCI layouts: built, and written with their SBOM and provenance.

use std::path::{Path, PathBuf};

use slipway_image::{Attached, Base, Built, Declared, Platform, Sources};
use slipway_oci::Layout;

use crate::failure::Failure;
use crate::runtime::wait;

/// Builds an image. A base image that the cache does not have is pulled.
pub(super) fn build(declared: &Declared, platforms: &[Platform], sources: &Sources) -> Result<Built, Failure> {
    if let Base::Oci(reference) = &declared.image.spec.base {
        let folder = slipway_image::base_folder(&sources.cache, reference);
        if !Layout::exists(&folder) {
            wait(slipway_registry::pull(reference, &folder, &slipway_registry::Options::default()))?;
        }
    }
    Ok(slipway_image::build(declared, platforms, sources, false)?)
}

/// The layout folder of an image in the cache.
pub(super) fn folder(declared: &Declared, sources: &Sources) -> PathBuf {
    sources.cache.root().join("images").join(declared.name())
}

/// Writes a layout with SBOM and provenance, which it returns.
pub(super) fn write(built: &Built, declared: &Declared, sources: &Sources, folder: &Path) -> Result<Attached, Failure> {
    let attached = slipway_image::attach(declared, built, sources)?;
    slipway_image::write_folder(built, &attached, &sources.cache, folder)?;
    Ok(attached)
}
