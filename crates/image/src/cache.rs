//! The cache folder: downloads by their hash, and finished layers by their inputs. All of it can be got again.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::digest;
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

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder of the cache, made when it is not there.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(name);
        std::fs::create_dir_all(&folder).map_err(Error::file("making", &folder))?;
        Ok(folder)
    }

    /// An empty file in the folder; what is not persisted is removed.
    pub(crate) fn part(&self, folder: &Path) -> Result<tempfile::NamedTempFile> {
        let readable = Permissions::from_mode(0o644);
        tempfile::Builder::new()
            .prefix(".part-")
            .permissions(readable)
            .tempfile_in(folder)
            .map_err(Error::file("writing in", folder))
    }
}

impl Cache {
    /// SHA-256 of a file; remembered as long as its size and time of change stay the same.
    pub(crate) fn hash_of(&self, path: &Path) -> Result<String> {
        use std::os::unix::fs::MetadataExt;

        let path = std::path::absolute(path).map_err(Error::file("reading", path))?;
        let about = std::fs::metadata(&path).map_err(Error::file("reading", &path))?;
        let stamp =
            format!("{} {} {}.{} {}", about.ino(), about.len(), about.mtime(), about.mtime_nsec(), about.ctime_nsec());
        let name = digest::sha256_hex(path.as_os_str().as_encoded_bytes());
        let folder = self.folder("hashes")?;
        let note = folder.join(name);
        if let Ok(text) = std::fs::read_to_string(&note)
            && let Some((known, hash)) = text.split_once('\n')
            && known == stamp
        {
            return Ok(hash.to_owned());
        }
        let (hash, _) = digest::of_file(&path)?;
        let part = self.part(&folder)?;
        std::fs::write(part.path(), format!("{stamp}\n{hash}")).map_err(Error::file("writing", &note))?;
        part.persist(&note).map_err(|error| Error::file("writing", &note)(error.error))?;
        Ok(hash)
    }
}
