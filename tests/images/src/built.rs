//! Images built from a fresh clone, and what is in them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slipway_loop::programs::program;
use slipway_oci::{Descriptor, Layout, Manifest};

/// The images of the stack.
pub const ALL: [&str; 6] = ["dataset-monitor", "demo-ui", "mlflow", "server", "trainer", "training-manager"];

/// The images of training programs.
pub const PROGRAMS: [&str; 3] = ["sklearn-wine", "torch-cnn", "wine"];

/// Runs `slipway image … -o json` in a repository; returns what it prints.
pub fn image(repository: &Path, arguments: &[&str]) -> Result<Value> {
    let mut command = Command::new(program("slipway")?);
    run(command.arg("--repo").arg(repository).args(["-o", "json", "image"]).args(arguments))
}

/// Runs a command that prints JSON.
pub fn run(command: &mut Command) -> Result<Value> {
    let done = command.output()?;
    ensure!(
        done.status.success(),
        "{command:?} ended with {}:\n{}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(serde_json::from_slice(&done.stdout)?)
}

/// An image for one platform in an OCI layout.
#[derive(Debug)]
pub struct Image {
    layout: Layout,
    /// The digest of the manifest.
    pub digest: String,
    /// The manifest.
    pub manifest: Value,
    /// The configuration.
    pub config: Value,
}

impl Image {
    /// Builds an image of a repository into a folder.
    pub fn build(repository: &Path, name: &str, folder: &Path) -> Result<Self> {
        let answer = image(repository, &["build", name, "--to", &format!("layout:{}", folder.display())])?;
        let built = Self::open(folder)?;
        ensure!(answer["digest"] == built.digest.as_str(), "{answer} is not what the layout holds");
        Ok(built)
    }

    /// Opens a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let layout = Layout::open(folder)?;
        let manifest: Manifest = layout.blobs().document(layout.image())?;
        Ok(Self {
            digest: layout.image().digest.to_string(),
            manifest: layout.blobs().document(layout.image())?,
            config: layout.blobs().document(&manifest.config)?,
            layout,
        })
    }

    /// The file of a blob.
    pub fn blob(&self, digest: &str) -> Result<PathBuf> {
        Ok(self.layout.blobs().path(&digest.parse()?))
    }

    /// What is attached to the image: artifact type and document.
    pub fn referrers(&self) -> Result<Vec<(String, Value)>> {
        let mut found = Vec::new();
        for entry in self.layout.referrers() {
            let manifest: Manifest = self.layout.blobs().document(entry)?;
            ensure!(manifest.subject.as_ref() == Some(&bare(self.layout.image())), "of another image: {manifest:?}");
            let document = self.layout.blobs().document(manifest.layers.first().context("no document")?)?;
            found.push((manifest.artifact_type.context("no type")?, document));
        }
        Ok(found)
    }

    /// Compressed bytes of each layer by digest.
    pub fn layers(&self) -> BTreeMap<String, u64> {
        let layers = self.manifest["layers"].as_array().into_iter().flatten();
        layers.filter_map(|layer| Some((layer["digest"].as_str()?.to_owned(), layer["size"].as_u64()?))).collect()
    }

    /// Calls `see` with path, header and content of every file of every layer.
    pub fn files(&self, mut see: impl FnMut(&str, &tar::Header, &[u8])) -> Result<()> {
        for digest in self.layers().keys() {
            let file = std::fs::File::open(self.blob(digest)?)?;
            let mut archive = tar::Archive::new(zstd::stream::read::Decoder::new(file)?);
            for entry in archive.entries()? {
                let mut entry = entry?;
                let (path, header) = (entry.path()?.display().to_string(), entry.header().clone());
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                see(&path, &header, &content);
            }
        }
        Ok(())
    }
}

/// A descriptor without what only a layout's index says.
fn bare(descriptor: &Descriptor) -> Descriptor {
    Descriptor::new(&descriptor.media_type, descriptor.digest, descriptor.size)
}
