//! Images in the storage of the CNCF's registry, without a running registry: a folder of blobs, and files that hold their digests.

use std::fs;
use std::path::{Path, PathBuf};

use slipway_digest::Digest;
use slipway_oci::{Blobs, Descriptor, Layout, references};

use super::assemble::NAME;
use super::{Error, Result};
use crate::Cache;
use crate::file::at;

/// Puts every image of the cache into a registry's storage folder. Blobs become hard links where the file system allows it, and those
/// that the folder has are left alone, so this takes milliseconds and no space.
///
/// # Errors
/// When the cache's layout is broken, or the folder cannot be written.
pub fn registry_storage(cache: &Cache, storage: &Path) -> Result<()> {
    add_layout(&cache.images(), storage).map(drop)
}

/// Puts images into a registry's storage folder from an OCI layout: a folder, or a tar of one. Returns their references.
///
/// # Errors
/// When it is not an OCI layout, an image in it has no name or lacks a blob, or the folder cannot be written.
pub fn add_to_registry(image: &Path, storage: &Path) -> Result<Vec<String>> {
    if image.is_dir() {
        return add_layout(image, storage);
    }
    // beside the storage, so that blobs can be linked
    let parent = storage.parent().unwrap_or(storage);
    fs::create_dir_all(parent).map_err(at(parent))?;
    let unpacked = tempfile::tempdir_in(parent).map_err(at(parent))?;
    let file = fs::File::open(image).map_err(at(image))?;
    let mut archive = tar::Archive::new(std::io::BufReader::with_capacity(1 << 20, file));
    archive
        .unpack(unpacked.path())
        .map_err(|error| Error::image(image, format!("not a tar of an OCI layout: {error}")))?;
    add_layout(unpacked.path(), storage).map_err(|error| match error {
        Error::Image { problem, .. } => Error::image(image, problem),
        Error::Oci(slipway_oci::Error::Layout { reason, .. }) => Error::image(image, reason),
        other => other,
    })
}

fn add_layout(folder: &Path, storage: &Path) -> Result<Vec<String>> {
    let layout = Layout::open(folder)?;
    let storage = Storage { blobs: layout.blobs(), folder: storage.join("docker/registry/v2") };
    let mut references = Vec::new();
    for entry in layout.manifests() {
        // attachments of an image, such as its SBOM, have no name of their own
        let Some(reference) = entry.annotation(NAME) else { continue };
        let (repository, tag) = parse(reference)
            .ok_or_else(|| Error::image(folder, format!("{reference:?} is not HOST/REPOSITORY:TAG")))?;
        storage.add(repository, entry)?;
        storage.tag(repository, tag, &entry.digest)?;
        references.push(reference.to_owned());
    }
    if references.is_empty() {
        return Err(Error::image(folder, format!("no image in index.json has a name: annotate one with {NAME}")));
    }
    Ok(references)
}

/// Repository and tag, without the host, because one registry has the images of every host. `None` if one of them is missing.
fn parse(reference: &str) -> Option<(&str, &str)> {
    let (_, path) = reference.split_once('/')?;
    path.rsplit_once(':').filter(|(repository, tag)| !repository.is_empty() && !tag.is_empty())
}

struct Storage {
    blobs: Blobs,
    folder: PathBuf,
}

impl Storage {
    /// Adds an image, with everything that it names, to a repository.
    fn add(&self, repository: &str, image: &Descriptor) -> Result<()> {
        self.blob(image)?;
        let parts = references(&self.blobs.read(image)?)
            .map_err(|error| Error::image(&self.blobs.path(&image.digest), error.to_string()))?;
        for part in parts {
            if part.is_manifest() {
                self.add(repository, &part)?;
            } else {
                self.blob(&part)?;
                self.link(&format!("repositories/{repository}/_layers/{}", folder_of(&part.digest)), &part.digest)?;
            }
        }
        let revision = format!("repositories/{repository}/_manifests/revisions/{}", folder_of(&image.digest));
        self.link(&revision, &image.digest)
    }

    fn tag(&self, repository: &str, tag: &str, digest: &Digest) -> Result<()> {
        let tag = format!("repositories/{repository}/_manifests/tags/{tag}");
        self.link(&format!("{tag}/index/{}", folder_of(digest)), digest)?;
        self.link(&format!("{tag}/current"), digest)
    }

    fn blob(&self, blob: &Descriptor) -> Result<()> {
        let from = self.blobs.path(&blob.digest);
        let hex = blob.digest.hex();
        let folder = self.folder.join("blobs/sha256").join(&hex[..2]).join(&hex);
        let to = folder.join("data");
        if to.exists() {
            return Ok(());
        }
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        if fs::hard_link(&from, &to).is_err() {
            // another file system; the rename keeps an interrupted copy from becoming a blob
            let part = folder.join("data.part");
            fs::copy(&from, &part).map_err(at(&from))?;
            fs::rename(&part, &to).map_err(at(&to))?;
        }
        Ok(())
    }

    /// Writes the file that holds a digest.
    fn link(&self, folder: &str, digest: &Digest) -> Result<()> {
        let folder = self.folder.join(folder);
        let path = folder.join("link");
        if fs::read_to_string(&path).is_ok_and(|text| text == digest.to_string()) {
            return Ok(());
        }
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        Ok(fs::write(&path, digest.to_string()).map_err(at(&path))?)
    }
}

fn folder_of(digest: &Digest) -> String {
    format!("sha256/{}", digest.hex())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use slipway_oci::{LayoutWriter, Manifest};

    use super::super::assemble;
    use super::super::layer::ROOT;
    use super::*;

    const REFERENCE: &str = "quay.io/argoproj/argocd:v3.5.7";

    /// A layout with one image of one layer.
    fn layout(folder: &Path, reference: Option<&str>) -> Descriptor {
        let layout = LayoutWriter::open(folder).unwrap();
        let layer = assemble::layer(&layout, |layer| layer.file("etc/hello", 0o644, ROOT, b"hello")).unwrap();
        let image = assemble::image(&layout, &json!({ "Cmd": ["/hello"] }), std::slice::from_ref(&layer)).unwrap();
        let image = match reference {
            Some(reference) => image.annotated(NAME, reference),
            None => image,
        };
        layout.finish(vec![image.clone()]).unwrap();
        image
    }

    fn content(storage: &Path, path: &str) -> String {
        fs::read_to_string(storage.join("docker/registry/v2").join(path)).unwrap()
    }

    #[test]
    fn a_folder_and_its_tar_give_the_same_storage() {
        let work = tempfile::tempdir().unwrap();
        let (folder, archive) = (work.path().join("layout"), work.path().join("layout.tar"));
        let image = layout(&folder, Some(REFERENCE));
        let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
        tar.append_dir_all(".", &folder).unwrap();
        tar.finish().unwrap();
        for from in [&folder, &archive] {
            let storage = work.path().join("storage").join(from.file_name().unwrap());
            // again and again is once
            for _ in 0..2 {
                assert_eq!(add_to_registry(from, &storage).unwrap(), [REFERENCE]);
            }
            let tag = "repositories/argoproj/argocd/_manifests/tags/v3.5.7/current/link";
            assert_eq!(content(&storage, tag), image.digest.to_string());
            let hex = image.digest.hex();
            let manifest = content(&storage, &format!("blobs/sha256/{}/{hex}/data", &hex[..2]));
            let manifest: Manifest = serde_json::from_str(&manifest).unwrap();
            for blob in manifest.layers.iter().chain([&manifest.config]) {
                let link = format!("repositories/argoproj/argocd/_layers/{}/link", folder_of(&blob.digest));
                assert_eq!(content(&storage, &link), blob.digest.to_string());
            }
        }
    }

    #[test]
    fn a_new_image_takes_the_tag() {
        let work = tempfile::tempdir().unwrap();
        let storage = work.path().join("storage");
        let (first, second) = (work.path().join("first"), work.path().join("second"));
        layout(&first, Some(REFERENCE));
        add_to_registry(&first, &storage).unwrap();
        let layout = LayoutWriter::open(&second).unwrap();
        let image = assemble::image(&layout, &json!({}), &[]).unwrap().annotated(NAME, REFERENCE);
        layout.finish(vec![image.clone()]).unwrap();
        add_to_registry(&second, &storage).unwrap();
        let tag = "repositories/argoproj/argocd/_manifests/tags/v3.5.7/current/link";
        assert_eq!(content(&storage, tag), image.digest.to_string());
    }

    #[test]
    fn what_is_not_an_image_is_an_error() {
        let work = tempfile::tempdir().unwrap();
        let storage = work.path().join("storage");
        let error = |from: &Path| add_to_registry(from, &storage).unwrap_err().to_string();
        fs::create_dir(work.path().join("empty")).unwrap();
        assert!(error(&work.path().join("empty")).contains("index.json is missing"));
        fs::write(work.path().join("text"), "not a tar at all").unwrap();
        assert!(error(&work.path().join("text")).contains("text: not a tar of an OCI layout"));
        layout(&work.path().join("nameless"), None);
        assert!(error(&work.path().join("nameless")).contains(NAME));
        layout(&work.path().join("odd"), Some("argocd"));
        assert!(error(&work.path().join("odd")).contains("HOST/REPOSITORY:TAG"));
    }

    #[test]
    fn an_image_with_a_missing_blob_is_not_tagged() {
        let work = tempfile::tempdir().unwrap();
        let (folder, storage) = (work.path().join("layout"), work.path().join("storage"));
        let image = layout(&folder, Some(REFERENCE));
        let blobs = Layout::open(&folder).unwrap().blobs();
        let manifest: Manifest = blobs.document(&image).unwrap();
        fs::remove_file(blobs.path(&manifest.layers[0].digest)).unwrap();
        add_to_registry(&folder, &storage).unwrap_err();
        assert!(!storage.join("docker/registry/v2/repositories/argoproj/argocd/_manifests/tags").exists());
    }

    #[test]
    fn a_digest_cannot_lead_out_of_the_layout() {
        let work = tempfile::tempdir().unwrap();
        let (folder, storage) = (work.path().join("layout"), work.path().join("storage"));
        let image = layout(&folder, Some(REFERENCE));
        let index = fs::read_to_string(folder.join("index.json")).unwrap();
        for digest in ["sha256:../../etc/passwd", "sha512:00", "sha256:"] {
            fs::write(folder.join("index.json"), index.replace(&image.digest.to_string(), digest)).unwrap();
            let error = add_to_registry(&folder, &storage).unwrap_err().to_string();
            assert!(error.contains("is not a digest"), "{error}");
        }
    }
}
