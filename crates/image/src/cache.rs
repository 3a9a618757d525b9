//! The cache folder: downloads by their digest, and finished layers by their inputs. All of it can be downloaded or made again.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use slipway_digest::Digest;
use slipway_oci::Blobs;

use crate::error::{Error, Result};

/// Where downloads and finished layers are kept.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache in this folder, such as `~/.cache/slipway`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The cache's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder of the cache, made if it does not exist.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(name);
        std::fs::create_dir_all(&folder).map_err(Error::file("making", &folder))?;
        Ok(folder)
    }

    /// An empty file in the folder. It is removed unless it is persisted.
    pub(crate) fn part(&self, folder: &Path) -> Result<tempfile::NamedTempFile> {
        let readable = Permissions::from_mode(0o644);
        tempfile::Builder::new()
            .prefix(".part-")
            .permissions(readable)
            .tempfile_in(folder)
            .map_err(Error::file("writing in", folder))
    }

    /// The compressed layers.
    pub(crate) fn layers(&self) -> Blobs {
        Blobs::at(self.root.join("layers/blobs"))
    }

    /// The digest of a file. It is remembered as long as the file's size, inode and times of change stay the same.
    pub(crate) fn digest_of(&self, path: &Path) -> Result<Digest> {
        use std::os::unix::fs::MetadataExt;

        let path = std::path::absolute(path).map_err(Error::file("reading", path))?;
        let about = std::fs::metadata(&path).map_err(Error::file("reading", &path))?;
        let stamp =
            format!("{} {} {}.{} {}", about.ino(), about.len(), about.mtime(), about.mtime_nsec(), about.ctime_nsec());
        let folder = self.folder("hashes")?;
        let note = folder.join(Digest::of(path.as_os_str().as_encoded_bytes()).hex());
        if let Ok(text) = std::fs::read_to_string(&note)
            && let Some((old_stamp, hex)) = text.split_once('\n')
            && old_stamp == stamp
            && let Ok(digest) = Digest::from_hex(hex)
        {
            return Ok(digest);
        }
        let (digest, _) = Digest::of_file(&path).map_err(Error::file("reading", &path))?;
        let part = self.part(&folder)?;
        std::fs::write(part.path(), format!("{stamp}\n{}", digest.hex())).map_err(Error::file("writing", &note))?;
        part.persist(&note).map_err(|error| Error::file("writing", &note)(error.error))?;
        Ok(digest)
    }
}
