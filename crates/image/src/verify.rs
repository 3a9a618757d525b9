//! Builds an image again without its cached layers, and says which file differs from what is there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::build::{Built, Sources, build};
use crate::digest::{self, Hashing};
use crate::error::{Error, Result};
use crate::parse::Declared;
use crate::platform::Platform;

/// What a rebuild says of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The image.
    pub name: String,
    /// Whether the digests are the same.
    pub same: bool,
    /// The digest of what is there.
    pub found: String,
    /// The digest of the rebuild.
    pub rebuilt: String,
    /// Where they differ, in words; empty when they do not.
    pub differences: Vec<String>,
}

/// Checks every blob of a layout against its name, then builds the image anew for the same platforms and compares.
///
/// # Errors
/// When the layout is not there or broken, or the image cannot be built.
pub fn verify(declared: &Declared, sources: &Sources, layout: &Path) -> Result<Verdict> {
    let there = Layout::open(layout)?;
    there.whole()?;
    let built = build(declared, &there.platforms()?, sources, true)?;
    let rebuilt = built.top().digest();
    let mut verdict = Verdict {
        name: declared.name().to_owned(),
        same: rebuilt == there.digest,
        found: there.digest.clone(),
        rebuilt,
        differences: Vec::new(),
    };
    if !verdict.same {
        verdict.differences = there.compare(&built, sources)?;
    }
    Ok(verdict)
}

/// An image in a layout.
struct Layout {
    folder: PathBuf,
    digest: String,
    /// By platform: configuration and layers (digests).
    images: Vec<(Platform, Value, Vec<String>)>,
}

impl Layout {
    fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("index.json");
        let index: Value = document(&path)?;
        let broken = |reason: &str| Error::malformed(folder.display().to_string(), reason);
        let digest = index["manifests"][0]["digest"].as_str().ok_or_else(|| broken("its index.json names no image"))?;
        let mut layout = Self { folder: folder.to_path_buf(), digest: digest.to_owned(), images: Vec::new() };
        let top = layout.blob(digest)?;
        let manifests: Vec<Value> = match top["manifests"].as_array() {
            Some(manifests) => manifests
                .iter()
                .map(|one| layout.blob(one["digest"].as_str().unwrap_or_default()))
                .collect::<Result<_>>()?,
            None => vec![top],
        };
        for manifest in manifests {
            let config = layout.blob(manifest["config"]["digest"].as_str().unwrap_or_default())?;
            let architecture = config["architecture"].as_str().unwrap_or_default();
            let platform = format!("linux/{architecture}").parse().map_err(|reason: String| broken(&reason))?;
            let layers = manifest["layers"].as_array().into_iter().flatten();
            let layers = layers.filter_map(|layer| layer["digest"].as_str().map(str::to_owned)).collect();
            layout.images.push((platform, config, layers));
        }
        Ok(layout)
    }

    fn path(&self, digest: &str) -> Result<PathBuf> {
        let hex = digest
            .strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let hex =
            hex.ok_or_else(|| Error::malformed(self.folder.display().to_string(), format!("{digest:?} is no digest")))?;
        Ok(self.folder.join("blobs/sha256").join(hex))
    }

    fn blob(&self, digest: &str) -> Result<Value> {
        document(&self.path(digest)?)
    }

    /// Every blob is what its name says.
    fn whole(&self) -> Result<()> {
        let folder = self.folder.join("blobs/sha256");
        for entry in std::fs::read_dir(&folder).map_err(Error::file("reading", &folder))? {
            let path = entry.map_err(Error::file("reading", &folder))?.path();
            let (found, found_size) = digest::of_file(&path)?;
            let wanted = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if found != wanted {
                return Err(Error::Hash {
                    what: path.display().to_string(),
                    found,
                    found_size,
                    wanted,
                    wanted_size: None,
                });
            }
        }
        Ok(())
    }

    fn platforms(&self) -> Result<Vec<Platform>> {
        Ok(self.images.iter().map(|(platform, ..)| *platform).collect())
    }

    fn compare(&self, built: &Built, sources: &Sources) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for ((platform, config, layers), image) in self.images.iter().zip(&built.images) {
            for number in 0..layers.len().max(image.layers.len()) {
                match (layers.get(number), image.layers.get(number)) {
                    (Some(old), Some(new)) if *old == format!("sha256:{}", new.digest) => {}
                    (Some(old), Some(new)) => {
                        let (old, new_files) = (files(&self.path(old)?)?, files(&new.blob(&sources.cache))?);
                        found.extend(differences(&format!("{platform}, layer {}", new.name), &old, &new_files));
                    }
                    (Some(_), None) => found.push(format!("{platform}: layer {number} is only there")),
                    (None, Some(new)) => found.push(format!("{platform}: layer {} is only in the rebuild", new.name)),
                    (None, None) => {}
                }
            }
            let new: Value = serde_json::from_slice(&image.config.bytes)
                .map_err(|error| Error::malformed("the configuration", error))?;
            members(&format!("{platform}, configuration"), config, &new, &mut found);
        }
        Ok(found)
    }
}

fn document(path: &Path) -> Result<Value> {
    let bytes = std::fs::read(path).map_err(Error::file("reading", path))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::malformed(path.display().to_string(), error))
}

/// Every path of a layer with what is there, in words.
fn files(blob: &Path) -> Result<BTreeMap<String, String>> {
    let broken = |error: std::io::Error| Error::malformed(blob.display().to_string(), error);
    let mut file = BufReader::new(File::open(blob).map_err(Error::file("reading", blob))?);
    let mut magic = [0; 2];
    file.read_exact(&mut magic).map_err(broken)?;
    let file = BufReader::new(File::open(blob).map_err(Error::file("reading", blob))?);
    let reader: Box<dyn Read> = match magic {
        [0x1f, 0x8b] => Box::new(flate2::read::GzDecoder::new(file)),
        [0x28, 0xb5] => Box::new(zstd::stream::read::Decoder::with_buffer(file).map_err(broken)?),
        _ => Box::new(file),
    };
    let mut archive = tar::Archive::new(reader);
    let mut found = BTreeMap::new();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().map_err(broken)?.display().to_string();
        let header = entry.header();
        let about = format!(
            "{:?} {:o} {}:{} {}",
            header.entry_type(),
            header.mode().map_err(broken)?,
            header.uid().map_err(broken)?,
            header.gid().map_err(broken)?,
            header.mtime().map_err(broken)?
        );
        let link = entry.link_name().map_err(broken)?.map(|link| link.display().to_string()).unwrap_or_default();
        let mut hash = Hashing::new(std::io::sink());
        let size = std::io::copy(&mut entry, &mut hash).map_err(broken)?;
        found.insert(path, format!("{about} {size} bytes {link} {}", hash.finish().1));
    }
    Ok(found)
}

fn differences(place: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for path in old.keys().chain(new.keys().filter(|path| !old.contains_key(*path))) {
        match (old.get(path), new.get(path)) {
            (Some(one), Some(other)) if one == other => {}
            (Some(_), Some(_)) => found.push(format!("{place}: /{path} differs")),
            (Some(_), None) => found.push(format!("{place}: /{path} is not in the rebuild")),
            (None, _) => found.push(format!("{place}: /{path} is only in the rebuild")),
        }
    }
    if found.is_empty() {
        found.push(format!("{place}: the same files, packed otherwise (another version of slipway?)"));
    }
    found
}

/// The members of a document that differ.
fn members(place: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                // what follows from the layers was said already
                if name != "rootfs" {
                    let absent = Value::Null;
                    members(
                        &format!("{place}: {name}"),
                        one.get(name).unwrap_or(&absent),
                        other.get(name).unwrap_or(&absent),
                        found,
                    );
                }
            }
        }
        (one, other) if one == other => {}
        (one, other) => found.push(format!("{place} is {one}, and {other} in the rebuild")),
    }
}
