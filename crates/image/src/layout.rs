//! Writes an image as an OCI layout: a folder, or a tar that `ctr`, `podman` and `docker load` take.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{BufWriter, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use slipway_digest::Digest;
use slipway_oci::{Descriptor, Document, Index, LAYOUT, LAYOUT_FILE};

use crate::attach::Attached;
use crate::built::Built;
use crate::cache::Cache;
use crate::error::{Error, Result};

/// The name that an import gives the image, and its tag. Nobody mistakes them for a release.
fn reference(built: &Built) -> (String, String) {
    let commit = &built.revision.commit;
    let short = commit.get(..12).unwrap_or(commit);
    let tag = if commit.ends_with("-dirty") { format!("{short}-dirty") } else { short.to_owned() };
    (format!("slipway.local/{}:{tag}", built.name), tag)
}

/// How the layout's index names the image.
fn entry(built: &Built) -> Descriptor {
    let (name, tag) = reference(built);
    let descriptor = match &built.index {
        Some(index) => index.descriptor(),
        None => built.images[0].manifest.descriptor().for_platform(built.images[0].platform),
    };
    descriptor.annotated("io.containerd.image.name", name).annotated("org.opencontainers.image.ref.name", tag)
}

/// Every document of the image: configurations, manifests, the index.
fn documents(built: &Built) -> impl Iterator<Item = &Document> {
    built.images.iter().flat_map(|image| [&image.config, &image.manifest]).chain(&built.index)
}

/// The files of the layers.
fn layers(built: &Built, cache: &Cache) -> BTreeMap<Digest, PathBuf> {
    let layers = built.images.iter().flat_map(|image| &image.layers);
    layers.map(|layer| (layer.digest, layer.blob(cache))).collect()
}

/// Writes a folder in one step: it has the complete new layout, or what was there before.
///
/// The first entry of `index.json` is the image; the manifests of what is attached to it follow.
///
/// # Errors
/// When the folder holds anything but a layout, or cannot be written.
pub fn write_folder(built: &Built, attached: &Attached, cache: &Cache, folder: &Path) -> Result<()> {
    slipway_oci::replace_layout(folder, |writer| {
        for document in documents(built).chain(&attached.documents) {
            writer.put(document)?;
        }
        for (digest, file) in layers(built, cache) {
            writer.blobs().take(&file, &digest)?;
        }
        Ok([entry(built)].into_iter().chain(attached.referrers.iter().cloned()).collect())
    })
}

/// Writes one tar file with the layout and, for Docker without containerd's image store, its older `manifest.json`.
///
/// # Errors
/// When the file cannot be written; then no part of it is left.
pub fn write_tar(built: &Built, cache: &Cache, file: &Path) -> Result<()> {
    let file = std::path::absolute(file).map_err(Error::file("writing", file))?;
    let failed = || Error::file("writing", &file);
    let part = cache.part(file.parent().unwrap_or(Path::new("/")))?;
    let mut small: BTreeMap<String, Vec<u8>> =
        documents(built).map(|document| (blob_path(&document.digest()), document.bytes.clone())).collect();
    small.insert(LAYOUT_FILE.to_owned(), LAYOUT.into());
    small.insert("index.json".to_owned(), Index::new(vec![entry(built)]).document().bytes);
    if built.index.is_none() {
        let image = &built.images[0];
        let layers: Vec<String> = image.layers.iter().map(|layer| blob_path(&layer.digest)).collect();
        let config = blob_path(&image.config.digest());
        let docker = json!([{ "Config": config, "RepoTags": [reference(built).0], "Layers": layers }]);
        small.insert("manifest.json".to_owned(), docker.to_string().into_bytes());
    }
    let mut tar = tar::Builder::new(BufWriter::new(part));
    for (path, bytes) in &small {
        append(&mut tar, path, bytes.len() as u64, bytes.as_slice()).map_err(failed())?;
    }
    for (digest, from) in layers(built, cache) {
        let open = File::open(&from).map_err(Error::file("reading", &from))?;
        let size = open.metadata().map_err(Error::file("reading", &from))?.len();
        append(&mut tar, &blob_path(&digest), size, open).map_err(failed())?;
    }
    let part = tar.into_inner().map_err(failed())?.into_inner().map_err(|error| failed()(error.into_error()))?;
    part.as_file().set_permissions(Permissions::from_mode(0o644)).map_err(failed())?;
    part.persist(&file).map_err(|error| failed()(error.error))?;
    Ok(())
}

/// The path of a blob in a layout.
fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn append(tar: &mut tar::Builder<impl std::io::Write>, path: &str, size: u64, from: impl Read) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    tar.append_data(&mut header, path, from)
}
