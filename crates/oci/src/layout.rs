//! An image layout on disk. <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use std::path::{Path, PathBuf};

use serde::Deserialize;
use slipway_digest::Digest;

use crate::{Blobs, Descriptor, Error, Index, Result, references};

/// The file that marks a folder as a layout.
pub const LAYOUT_FILE: &str = "oci-layout";
/// What that file holds.
pub const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

pub(crate) const INDEX_FILE: &str = "index.json";

/// A layout that has an index: the image first, then what refers to it.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
    manifests: Vec<Descriptor>,
}

impl Layout {
    /// Whether a folder holds an index. A layout's index is written last, so all of the layout is there.
    #[must_use]
    pub fn exists(folder: &Path) -> bool {
        folder.join(INDEX_FILE).is_file()
    }

    /// Opens a layout whose index names at least one image.
    ///
    /// # Errors
    /// When the folder is not a layout of version 1, or its index is empty or cannot be read.
    pub fn open(folder: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            image_layout_version: String,
        }

        let Index { manifests, .. } = read(folder, INDEX_FILE)?;
        if manifests.is_empty() {
            return Err(Error::layout(folder, "its index.json names no image"));
        }
        let Version { image_layout_version: version } = read(folder, LAYOUT_FILE)?;
        if !version.starts_with("1.") {
            return Err(Error::layout(folder, format!("it has version {version} of the format; 1.0.0 is supported")));
        }
        Ok(Self { folder: folder.to_owned(), manifests })
    }

    pub(crate) fn new(folder: PathBuf, manifests: Vec<Descriptor>) -> Self {
        Self { folder, manifests }
    }

    /// The layout's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The layout's blobs.
    #[must_use]
    pub fn blobs(&self) -> Blobs {
        Blobs::at(blobs_folder(&self.folder))
    }

    /// What the index names.
    #[must_use]
    pub fn manifests(&self) -> &[Descriptor] {
        &self.manifests
    }

    /// The first image: a manifest, or an index of several platforms.
    #[must_use]
    pub fn image(&self) -> &Descriptor {
        &self.manifests[0]
    }

    /// What follows the image: manifests that refer to it, such as its SBOM.
    #[must_use]
    pub fn referrers(&self) -> &[Descriptor] {
        &self.manifests[1..]
    }

    /// What an index or a manifest of the layout names; see [`references`].
    ///
    /// # Errors
    /// When it is missing, damaged, or neither an index nor a manifest.
    pub fn references(&self, manifest: &Descriptor) -> Result<Vec<Descriptor>> {
        let bytes = self.blobs().read(manifest)?;
        references(&bytes).map_err(|error| Error::layout(self.blobs().path(&manifest.digest), error))
    }

    /// Removes every file among the blobs that the index does not lead to.
    ///
    /// # Errors
    /// When a manifest cannot be read, or a blob cannot be removed.
    pub fn remove_unreferenced(&self) -> Result<()> {
        let mut needed: Vec<Digest> = Vec::new();
        let mut waiting = self.manifests.clone();
        while let Some(next) = waiting.pop() {
            if needed.contains(&next.digest) {
                continue;
            }
            if next.is_manifest() {
                waiting.extend(self.references(&next)?);
            }
            needed.push(next.digest);
        }
        for (path, digest) in self.blobs().files()? {
            if digest.is_none_or(|digest| !needed.contains(&digest)) {
                std::fs::remove_file(&path).map_err(Error::file("removing", &path))?;
            }
        }
        Ok(())
    }
}

pub(crate) fn blobs_folder(layout: &Path) -> PathBuf {
    layout.join("blobs/sha256")
}

fn read<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    let path = folder.join(name);
    let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::layout(folder, format!("{name} is missing")),
        _ => Error::file("reading", &path)(error),
    })?;
    serde_json::from_slice(&bytes).map_err(|error| Error::layout(&path, error))
}
