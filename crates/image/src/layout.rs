//! Writes an image as an OCI layout: a folder, or a tar that `ctr`, `podman` and `docker load` take.
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{BufWriter, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::build::Built;
use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::manifest::{Blob, INDEX};

/// The whole layout: its small files by path, and the layers' files.
struct Files {
    small: BTreeMap<String, Vec<u8>>,
    large: BTreeMap<String, PathBuf>,
}

fn blob_path(hex: &str) -> String {
    format!("blobs/sha256/{hex}")
}

/// The name that an import gives the image: a tag that no one mistakes for a release.
fn reference(built: &Built) -> (String, String) {
    let commit = &built.revision.commit;
    let short = commit.get(..12).unwrap_or(commit);
    let tag = if commit.ends_with("-dirty") { format!("{short}-dirty") } else { short.to_owned() };
    (format!("slipway.local/{}:{tag}", built.name), tag)
}

fn files(built: &Built, attached: &[Blob], cache: &Cache) -> Files {
    let mut files = Files { small: BTreeMap::new(), large: BTreeMap::new() };
    for image in &built.images {
        for blob in [&image.config, &image.manifest] {
            files.small.insert(blob_path(&blob.hex()), blob.bytes.clone());
        }
        for layer in &image.layers {
            files.large.insert(blob_path(&layer.digest), layer.blob(cache));
        }
    }
    for blob in built.index.iter().chain(attached) {
        files.small.insert(blob_path(&blob.hex()), blob.bytes.clone());
    }
    files.small.insert("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
    files
}

/// How the layout's index names the image.
fn top(built: &Built) -> Value {
    let (name, tag) = reference(built);
    let mut descriptor = match &built.index {
        Some(index) => index.descriptor(),
        None => crate::manifest::for_platform(&built.images[0].manifest, built.images[0].platform),
    };
    descriptor["annotations"] = json!({
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": tag,
    });
    descriptor
}

fn index(manifests: &[Value]) -> Vec<u8> {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }).to_string().into_bytes()
}

/// Writes a folder in one step: it is there whole or not at all, and what was there before stays until then.
///
/// The first entry of `index.json` is the image; `referrers` (manifests with a subject) and the blobs that they name follow.
///
/// # Errors
/// When the folder holds something else, or cannot be written.
pub fn write_folder(built: &Built, attached: &Attached, cache: &Cache, folder: &Path) -> Result<()> {
    let folder = std::path::absolute(folder).map_err(Error::file("writing", folder))?;
    ours(&folder)?;
    let parent = folder.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent).map_err(Error::file("making", parent))?;
    let part = tempfile::Builder::new()
        .prefix(".slipway-image-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .map_err(Error::file("writing in", parent))?;
    let whole = part.path().join("whole");
    let blobs = whole.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(Error::file("making", &blobs))?;
    let mut all = files(built, &attached.documents, cache);
    let mut manifests = vec![top(built)];
    manifests.extend(attached.referrers.iter().cloned());
    all.small.insert("index.json".to_owned(), index(&manifests));
    for (path, bytes) in &all.small {
        let path = whole.join(path);
        std::fs::write(&path, bytes).map_err(Error::file("writing", &path))?;
    }
    for (path, from) in &all.large {
        let path = whole.join(path);
        // the cache's own file where the file system lets it, so that an unchanged image is written at once
        if std::fs::hard_link(from, &path).is_err() {
            std::fs::copy(from, &path).map_err(Error::file("writing", &path))?;
        }
    }
    if folder.exists() {
        let old = part.path().join("old");
        std::fs::rename(&folder, &old).map_err(Error::file("replacing", &folder))?;
        if let Err(error) = std::fs::rename(&whole, &folder) {
            let _ = std::fs::rename(&old, &folder);
            return Err(Error::file("writing", &folder)(error));
        }
        return Ok(());
    }
    std::fs::rename(&whole, &folder).map_err(Error::file("writing", &folder))
}

/// Only an empty folder or an older layout is replaced.
fn ours(folder: &Path) -> Result<()> {
    let not_ours = |reason| Error::file("writing", folder)(std::io::Error::other(reason));
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::file("writing", folder)(error)),
        Ok(mut entries) => {
            if entries.next().is_none() || folder.join("oci-layout").is_file() {
                return Ok(());
            }
            Err(not_ours("it is not empty and no OCI layout: choose another folder"))
        }
    }
}

/// Writes one tar file with the layout and, for Docker without containerd's image store, its older `manifest.json`.
///
/// # Errors
/// When the file cannot be written; then none is left.
pub fn write_tar(built: &Built, cache: &Cache, file: &Path) -> Result<()> {
    let file = std::path::absolute(file).map_err(Error::file("writing", file))?;
    let failed = || Error::file("writing", &file);
    let part = cache.part(file.parent().unwrap_or(Path::new("/")))?;
    let mut all = files(built, &[], cache);
    all.small.insert("index.json".to_owned(), index(&[top(built)]));
    if built.index.is_none() {
        let image = &built.images[0];
        let layers: Vec<String> = image.layers.iter().map(|layer| blob_path(&layer.digest)).collect();
        let docker =
            json!([{ "Config": blob_path(&image.config.hex()), "RepoTags": [reference(built).0], "Layers": layers }]);
        all.small.insert("manifest.json".to_owned(), docker.to_string().into_bytes());
    }
    let mut tar = tar::Builder::new(BufWriter::new(part));
    for (path, bytes) in &all.small {
        append(&mut tar, path, bytes.len() as u64, bytes.as_slice()).map_err(failed())?;
    }
    for (path, from) in &all.large {
        let open = File::open(from).map_err(Error::file("reading", from))?;
        let size = open.metadata().map_err(Error::file("reading", from))?.len();
        append(&mut tar, path, size, open).map_err(failed())?;
    }
    let part = tar.into_inner().map_err(failed())?.into_inner().map_err(|error| failed()(error.into_error()))?;
    part.as_file().set_permissions(Permissions::from_mode(0o644)).map_err(failed())?;
    part.persist(&file).map_err(|error| failed()(error.error))?;
    Ok(())
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

/// What is attached to an image: manifests that name it as their subject.
#[derive(Clone, Debug, Default)]
pub struct Attached {
    /// Descriptors of the manifests, with their artifact types.
    pub referrers: Vec<Value>,
    /// The manifests and what they name.
    pub documents: Vec<Blob>,
}
