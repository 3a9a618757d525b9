//! Builds an image again without its cached layers, and compares the result with a layout, file by file if they differ.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use slipway_digest::{Digest, Hashing};
use slipway_oci::{Descriptor, Index, Layout, Manifest, Platform};

use crate::build::build;
use crate::built::Built;
use crate::error::{Error, Result};
use crate::parse::Declared;
use crate::sources::Sources;

/// How an image compares with its rebuild.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The image.
    pub name: String,
    /// Whether the digests are the same.
    pub same: bool,
    /// The digest of the image in the layout.
    pub found: Digest,
    /// The digest of the rebuild.
    pub rebuilt: Digest,
    /// The differences, as sentences; empty if the digests are the same.
    pub differences: Vec<String>,
}

/// Compares every blob of a layout with its name, then builds the image again for the same platforms and compares.
///
/// # Errors
/// When the layout is missing or damaged, or the image cannot be built.
pub fn verify(declared: &Declared, sources: &Sources, layout: &Path) -> Result<Verdict> {
    let layout = Layout::open(layout)?;
    layout.blobs().verify()?;
    let images = images(&layout)?;
    let platforms: Vec<Platform> = images.iter().map(|image| image.platform).collect();
    let built = build(declared, &platforms, sources, true)?;
    let (found, rebuilt) = (layout.image().digest, built.top().digest());
    let differences = if found == rebuilt { Vec::new() } else { compare(&layout, &images, &built, sources)? };
    Ok(Verdict { name: declared.name().to_owned(), same: found == rebuilt, found, rebuilt, differences })
}

/// One platform's image in a layout.
struct Image {
    platform: Platform,
    config: Value,
    layers: Vec<Descriptor>,
}

fn images(layout: &Layout) -> Result<Vec<Image>> {
    let (blobs, top) = (layout.blobs(), layout.image());
    let manifests = if top.is_index() { blobs.document::<Index>(top)?.manifests } else { vec![top.clone()] };
    let mut images = Vec::new();
    for manifest in manifests {
        let Manifest { config, layers, .. } = blobs.document(&manifest)?;
        let config: Value = blobs.document(&config)?;
        let text = |name: &str| config[name].as_str().unwrap_or("unknown");
        let platform = format!("{}/{}", text("os"), text("architecture")).parse();
        let platform = platform.map_err(|error| Error::malformed(layout.folder().display().to_string(), error))?;
        images.push(Image { platform, config, layers });
    }
    Ok(images)
}

fn compare(layout: &Layout, images: &[Image], built: &Built, sources: &Sources) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (Image { platform, config, layers }, image) in images.iter().zip(&built.images) {
        for number in 0..layers.len().max(image.layers.len()) {
            match (layers.get(number), image.layers.get(number)) {
                (Some(old), Some(new)) if old.digest == new.digest => {}
                (Some(old), Some(new)) => {
                    let old = files(&layout.blobs().path(&old.digest))?;
                    let new_files = files(&new.blob(&sources.cache))?;
                    found.extend(differences(&format!("{platform}, layer {}", new.name), &old, &new_files));
                }
                (Some(_), None) => found.push(format!("{platform}: layer {number} is not in the rebuild")),
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

/// Every path of a layer, with a description of what is there.
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

fn differences(layer: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for path in old.keys().chain(new.keys().filter(|path| !old.contains_key(*path))) {
        match (old.get(path), new.get(path)) {
            (Some(one), Some(other)) if one == other => {}
            (Some(_), Some(_)) => found.push(format!("{layer}: /{path} differs")),
            (Some(_), None) => found.push(format!("{layer}: /{path} is not in the rebuild")),
            (None, _) => found.push(format!("{layer}: /{path} is only in the rebuild")),
        }
    }
    if found.is_empty() {
        found.push(format!("{layer}: the same files, packed in another way (by another version of slipway?)"));
    }
    found
}

/// The members of a document that differ.
fn members(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(one), Value::Object(other)) => {
            for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                // the layers were compared before
                if name != "rootfs" {
                    let absent = Value::Null;
                    members(
                        &format!("{path}: {name}"),
                        one.get(name).unwrap_or(&absent),
                        other.get(name).unwrap_or(&absent),
                        found,
                    );
                }
            }
        }
        (one, other) if one == other => {}
        (one, other) => found.push(format!("{path} is {one}, and {other} in the rebuild")),
    }
}
