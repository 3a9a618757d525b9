//! Images in the storage of the CNCF's registry, without a running registry: a folder of blobs, and links that name them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::layout::{Descriptor, INDEX, Index, Layout, Manifest, NAME};
use super::{Error, Result};
use crate::Cache;
use crate::file::at;

/// Puts every image of the cache into a registry's storage folder. Blobs are hard links where the file system allows it,
/// and what is there already is left alone, so that this takes milliseconds and no space.
///
/// # Errors
/// The cache's layout is broken, or the folder cannot be written.
pub fn registry_storage(cache: &Cache, storage: &Path) -> Result<()> {
    add_layout(&cache.images(), storage).map(drop)
}

/// Puts images into a registry's storage folder from an OCI layout: a folder, or a tar of one. Gives their references.
///
/// # Errors
/// It is no OCI layout, an image in it has no name or misses a blob, or the folder cannot be written.
pub fn add_to_registry(image: &Path, storage: &Path) -> Result<Vec<String>> {
    if image.is_dir() {
        return add_layout(image, storage);
    }
    // beside the storage: the blobs are linked from there
    let parent = storage.parent().unwrap_or(storage);
    fs::create_dir_all(parent).map_err(at(parent))?;
    let unpacked = tempfile::tempdir_in(parent).map_err(at(parent))?;
    let file = fs::File::open(image).map_err(at(image))?;
    let mut archive = tar::Archive::new(std::io::BufReader::with_capacity(1 << 20, file));
    archive
        .unpack(unpacked.path())
        .map_err(|error| Error::image(image, format!("is no tar of an OCI layout: {error}")))?;
    add_layout(unpacked.path(), storage).map_err(|error| match error {
        Error::Image { problem, .. } => Error::image(image, problem),
        other => other,
    })
}

fn add_layout(folder: &Path, storage: &Path) -> Result<Vec<String>> {
    let layout = Layout::at(folder);
    let entries = layout.entries()?;
    if entries.is_empty() {
        return Err(Error::image(folder, "is no OCI layout, or holds no image: index.json is missing or empty"));
    }
    let storage = Storage { layout: &layout, folder: storage.join("docker/registry/v2") };
    let mut references = Vec::new();
    for entry in &entries {
        // what is attached to an image (an SBOM, a provenance statement) has no name of its own
        let Some(reference) = entry.annotation(NAME) else { continue };
        let (repository, tag) =
            parse(reference).ok_or_else(|| Error::image(folder, format!("{reference:?} is no HOST/REPOSITORY:TAG")))?;
        storage.add(repository, entry)?;
        storage.tag(repository, tag, &entry.digest)?;
        references.push(reference.to_owned());
    }
    if references.is_empty() {
        return Err(Error::image(folder, format!("no image in index.json is named: annotate one with {NAME}")));
    }
    Ok(references)
}

/// Repository, without the host, and tag: every host's images are in this one registry.
fn parse(reference: &str) -> Option<(&str, &str)> {
    let (_, path) = reference.split_once('/')?;
    path.rsplit_once(':').filter(|(repository, tag)| !repository.is_empty() && !tag.is_empty())
}

struct Storage<'a> {
    layout: &'a Layout,
    folder: PathBuf,
}

impl Storage<'_> {
    /// Links an image, with everything that it names, into a repository.
    fn add(&self, repository: &str, image: &Descriptor) -> Result<()> {
        self.blob(image)?;
        if image.media_type == INDEX {
            let index: Index = self.layout.read(&image.digest)?;
            index.manifests.iter().try_for_each(|manifest| self.add(repository, manifest))?;
        } else {
            let manifest: Manifest = self.layout.read(&image.digest)?;
            let mut seen = BTreeSet::new();
            for blob in manifest.layers.iter().chain([&manifest.config]) {
                if seen.insert(&blob.digest) {
                    self.blob(blob)?;
                    self.link(&format!("repositories/{repository}/_layers/{}", folder_of(&blob.digest)), &blob.digest)?;
                }
            }
        }
        self.link(
            &format!("repositories/{repository}/_manifests/revisions/{}", folder_of(&image.digest)),
            &image.digest,
        )
    }

    fn tag(&self, repository: &str, tag: &str, digest: &str) -> Result<()> {
        let tag = format!("repositories/{repository}/_manifests/tags/{tag}");
        self.link(&format!("{tag}/index/{}", folder_of(digest)), digest)?;
        self.link(&format!("{tag}/current"), digest)
    }

    fn blob(&self, blob: &Descriptor) -> Result<()> {
        let from = self.layout.path(&blob.digest)?;
        let hex = blob.digest.trim_start_matches("sha256:");
        let folder = self.folder.join("blobs/sha256").join(&hex[..2]).join(hex);
        let to = folder.join("data");
        if to.exists() {
            return Ok(());
        }
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        if fs::hard_link(&from, &to).is_err() {
            // another file system; in one step, so that an interrupted copy is no blob
            let part = folder.join("data.part");
            fs::copy(&from, &part).map_err(at(&from))?;
            fs::rename(&part, &to).map_err(at(&to))?;
        }
        Ok(())
    }

    /// A file that names a digest.
    fn link(&self, folder: &str, digest: &str) -> Result<()> {
        let folder = self.folder.join(folder);
        let path = folder.join("link");
        if fs::read_to_string(&path).is_ok_and(|there| there == digest) {
            return Ok(());
        }
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        Ok(fs::write(&path, digest).map_err(at(&path))?)
    }
}

fn folder_of(digest: &str) -> String {
    digest.replace(':', "/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::layer::ROOT;
    use super::*;

    const REFERENCE: &str = "quay.io/argoproj/argocd:v3.5.7";

    /// A layout with one image of one layer.
    fn layout(folder: &Path, reference: Option<&str>) -> Descriptor {
        let layout = Layout::make(folder).unwrap();
        let layer = layout.layer(|layer| layer.file("etc/hello", 0o644, ROOT, b"hello")).unwrap();
        let mut image = layout.image(&json!({ "Cmd": ["/hello"] }), std::slice::from_ref(&layer)).unwrap();
        image.annotations = reference.map(|reference| [(NAME.to_owned(), reference.to_owned())].into());
        layout.keep(vec![image.clone()]).unwrap();
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
            assert_eq!(content(&storage, tag), image.digest);
            let hex = image.digest.trim_start_matches("sha256:");
            let manifest = content(&storage, &format!("blobs/sha256/{}/{hex}/data", &hex[..2]));
            let manifest: Manifest = serde_json::from_str(&manifest).unwrap();
            for blob in manifest.layers.iter().chain([&manifest.config]) {
                let link = format!("repositories/argoproj/argocd/_layers/{}/link", folder_of(&blob.digest));
                assert_eq!(content(&storage, &link), blob.digest);
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
        let layout = Layout::make(&second).unwrap();
        let mut image = layout.image(&json!({}), &[]).unwrap();
        image.annotations = Some([(NAME.to_owned(), REFERENCE.to_owned())].into());
        layout.keep(vec![image.clone()]).unwrap();
        add_to_registry(&second, &storage).unwrap();
        let tag = "repositories/argoproj/argocd/_manifests/tags/v3.5.7/current/link";
        assert_eq!(content(&storage, tag), image.digest);
    }

    #[test]
    fn what_is_no_image_says_so() {
        let work = tempfile::tempdir().unwrap();
        let storage = work.path().join("storage");
        let said = |from: &Path| add_to_registry(from, &storage).unwrap_err().to_string();
        fs::create_dir(work.path().join("empty")).unwrap();
        assert!(said(&work.path().join("empty")).contains("index.json is missing"));
        fs::write(work.path().join("text"), "not a tar at all").unwrap();
        assert!(said(&work.path().join("text")).contains("text: is no "));
        layout(&work.path().join("nameless"), None);
        assert!(said(&work.path().join("nameless")).contains(NAME));
        layout(&work.path().join("odd"), Some("argocd"));
        assert!(said(&work.path().join("odd")).contains("HOST/REPOSITORY:TAG"));
    }

    #[test]
    fn an_image_with_a_missing_blob_is_not_tagged() {
        let work = tempfile::tempdir().unwrap();
        let (folder, storage) = (work.path().join("layout"), work.path().join("storage"));
        let image = layout(&folder, Some(REFERENCE));
        let manifest: Manifest = Layout::at(&folder).read(&image.digest).unwrap();
        fs::remove_file(Layout::at(&folder).path(&manifest.layers[0].digest).unwrap()).unwrap();
        add_to_registry(&folder, &storage).unwrap_err();
        assert!(!storage.join("docker/registry/v2/repositories/argoproj/argocd/_manifests/tags").exists());
    }

    #[test]
    fn a_digest_cannot_lead_out_of_the_layout() {
        let layout = Layout::at(Path::new("/layout"));
        for digest in ["sha256:../../etc/passwd", "sha512:00", "sha256:"] {
            layout.path(digest).unwrap_err();
        }
    }
}
