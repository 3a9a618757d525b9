//! An OCI image layout in a folder: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::layer::{Hashing, Layer};
use super::{Error, Result};
use crate::file::at;

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The annotation that holds an image's full reference.
pub(super) const NAME: &str = "io.containerd.image.name";

/// What a manifest, an index or a layout says about a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<std::collections::BTreeMap<String, String>>,
}

impl Descriptor {
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

/// The index at the top of a layout, or of an image for several platforms.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    pub(super) schema_version: u32,
    #[serde(default = "index_type")]
    pub(super) media_type: String,
    pub(super) manifests: Vec<Descriptor>,
}

fn index_type() -> String {
    INDEX.to_owned()
}

/// One platform's image.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// A folder with a layout.
#[derive(Debug)]
pub(super) struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// A layout that is there.
    pub(super) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// A layout that is there, or a new and empty one.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let layout = Self::at(folder);
        let blobs = layout.blobs();
        fs::create_dir_all(&blobs).map_err(at(&blobs))?;
        let marker = folder.join("oci-layout");
        fs::write(&marker, r#"{"imageLayoutVersion":"1.0.0"}"#).map_err(at(&marker))?;
        Ok(layout)
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs/sha256")
    }

    pub(super) fn path(&self, digest: &str) -> Result<PathBuf> {
        let hex =
            digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let hex = hex.ok_or_else(|| Error::image(&self.folder, format!("{digest:?} is no SHA-256 digest")))?;
        Ok(self.blobs().join(hex))
    }

    /// Reads and parses a small blob.
    pub(super) fn read<T: serde::de::DeserializeOwned>(&self, digest: &str) -> Result<T> {
        let path = self.path(digest)?;
        let bytes = fs::read(&path).map_err(at(&path))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::image(&path, error.to_string()))
    }

    /// What the layout holds; nothing when it is new.
    pub(super) fn entries(&self) -> Result<Vec<Descriptor>> {
        let path = self.folder.join("index.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(at(&path)(error).into()),
        };
        let index: Index = serde_json::from_slice(&bytes).map_err(|error| Error::image(&path, error.to_string()))?;
        Ok(index.manifests)
    }

    /// Says what the layout holds, and drops every blob that is then not needed.
    pub(super) fn keep(&self, entries: Vec<Descriptor>) -> Result<()> {
        let mut needed = BTreeSet::new();
        for entry in &entries {
            needed.insert(entry.digest.clone());
            let manifest: Manifest = self.read(&entry.digest)?;
            needed.extend(manifest.layers.into_iter().chain([manifest.config]).map(|blob| blob.digest));
        }
        let index = Index { schema_version: 2, media_type: index_type(), manifests: entries };
        let path = self.folder.join("index.json");
        let new = self.folder.join(".index.json.new");
        fs::write(&new, json!(index).to_string()).map_err(at(&new))?;
        fs::rename(&new, &path).map_err(at(&path))?;
        let blobs = self.blobs();
        for blob in fs::read_dir(&blobs).map_err(at(&blobs))? {
            let blob = blob.map_err(at(&blobs))?.path();
            let name = blob.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if !needed.contains(&format!("sha256:{name}")) {
                fs::remove_file(&blob).map_err(at(&blob))?;
            }
        }
        Ok(())
    }

    /// Stores a small blob.
    pub(super) fn store(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
        let hex = crate::inputs::hex(&Sha256::digest(bytes));
        let path = self.blobs().join(&hex);
        fs::write(&path, bytes).map_err(at(&path))?;
        Ok(descriptor(media_type, &hex, bytes.len() as u64))
    }

    /// Writes a layer.
    pub(super) fn layer(&self, write: impl FnOnce(&mut Layer<'_>) -> std::io::Result<()>) -> Result<Descriptor> {
        let blobs = self.blobs();
        let file = tempfile::NamedTempFile::new_in(&blobs).map_err(at(&blobs))?;
        let mut hashing = Hashing::new(BufWriter::with_capacity(1 << 20, file));
        let mut layer = Layer::new(&mut hashing);
        write(&mut layer).and_then(|()| layer.finish()).map_err(at(&blobs))?;
        hashing.flush().map_err(at(&blobs))?;
        let (buffer, hex, count) = hashing.finish();
        let file = buffer.into_inner().map_err(|error| at(&blobs)(error.into_error()))?;
        let path = blobs.join(&hex);
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).map_err(at(&path))?;
        file.persist(&path).map_err(|error| at(&path)(error.error))?;
        Ok(descriptor(LAYER, &hex, count))
    }

    /// Stores the manifest of an image and gives its descriptor.
    pub(super) fn image(&self, config: &Value, layers: &[Descriptor]) -> Result<Descriptor> {
        let digests: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let platform = json!({ "architecture": architecture(), "os": "linux" });
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": config,
            "rootfs": { "type": "layers", "diff_ids": digests },
        });
        let config = self.store(CONFIG, config.to_string().as_bytes())?;
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut manifest = self.store(MANIFEST, manifest.to_string().as_bytes())?;
        manifest.platform = Some(platform);
        Ok(manifest)
    }
}

fn descriptor(media_type: &str, hex: &str, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: format!("sha256:{hex}"),
        size,
        platform: None,
        annotations: None,
    }
}

/// This machine's architecture, as Go and the image specification name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
