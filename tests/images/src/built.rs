//! Images built from a fresh clone, and what is in them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use slipway_loop::programs::program;

/// All that this repository declares.
pub const ALL: [&str; 4] = ["demo-ui", "mlflow", "server", "trainer"];

/// Runs `slipway image … -o json` in a repository; its answer.
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

/// An OCI layout folder with one platform.
#[derive(Debug)]
pub struct Layout {
    folder: PathBuf,
    /// The digest of the manifest.
    pub digest: String,
    /// The manifest.
    pub manifest: Value,
    /// The configuration.
    pub config: Value,
}

impl Layout {
    /// Builds an image of a repository into a folder.
    pub fn build(repository: &Path, name: &str, folder: &Path) -> Result<Self> {
        let said = image(repository, &["build", name, "--to", &format!("layout:{}", folder.display())])?;
        let layout = Self::open(folder)?;
        ensure!(said["digest"] == layout.digest.as_str(), "{said} is not what the layout holds");
        Ok(layout)
    }

    /// Opens a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let index: Value = serde_json::from_slice(&std::fs::read(folder.join("index.json"))?)?;
        let digest = index["manifests"][0]["digest"].as_str().context("no image")?.to_owned();
        let mut layout =
            Self { folder: folder.to_owned(), digest: digest.clone(), manifest: Value::Null, config: Value::Null };
        layout.manifest = layout.document(&digest)?;
        layout.config = layout.document(layout.manifest["config"]["digest"].as_str().context("no configuration")?)?;
        Ok(layout)
    }

    /// The file of a blob.
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.trim_start_matches("sha256:"))
    }

    /// A blob that is JSON.
    pub fn document(&self, digest: &str) -> Result<Value> {
        let path = self.blob(digest);
        serde_json::from_slice(&std::fs::read(&path)?).with_context(|| path.display().to_string())
    }

    /// What is attached to the image: artifact type and document.
    pub fn referrers(&self) -> Result<Vec<(String, Value)>> {
        let index: Value = serde_json::from_slice(&std::fs::read(self.folder.join("index.json"))?)?;
        let mut found = Vec::new();
        for entry in index["manifests"].as_array().context("no manifests")?.iter().skip(1) {
            let manifest = self.document(entry["digest"].as_str().context("no digest")?)?;
            ensure!(manifest["subject"]["digest"] == self.digest.as_str(), "of another image: {manifest}");
            let document = manifest["layers"][0]["digest"].as_str().context("no document")?;
            found.push((manifest["artifactType"].as_str().context("no type")?.to_owned(), self.document(document)?));
        }
        Ok(found)
    }

    /// Compressed bytes of each layer by digest.
    pub fn layers(&self) -> BTreeMap<String, u64> {
        let layers = self.manifest["layers"].as_array().into_iter().flatten();
        layers.filter_map(|layer| Some((layer["digest"].as_str()?.to_owned(), layer["size"].as_u64()?))).collect()
    }

    /// Hands every file of every layer, path and content, to `see`.
    pub fn files(&self, mut see: impl FnMut(&str, &tar::Header, &[u8])) -> Result<()> {
        for digest in self.layers().keys() {
            let file = std::fs::File::open(self.blob(digest))?;
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
