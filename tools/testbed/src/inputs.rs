//! What something in the cache was built from, as one digest: it is built again only if that changes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use slipway_digest::Digest;

/// A digest of everything that something is built from.
#[derive(Default)]
pub(crate) struct Inputs(Sha256);

impl Inputs {
    /// Adds a text or the content of a file. Its length comes first, so that no two lists of parts are the same bytes.
    pub(crate) fn part(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds every file below a folder with its path in the folder, or one file.
    pub(crate) fn tree(&mut self, root: &Path) -> io::Result<&mut Self> {
        let mut files = Vec::new();
        list(root, &mut files).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", root.display())))?;
        files.sort();
        for file in files {
            self.part(file.strip_prefix(root).unwrap_or(&file).as_os_str().as_encoded_bytes()).part(fs::read(&file)?);
        }
        Ok(self)
    }

    /// The digest in hexadecimal.
    pub(crate) fn digest(self) -> String {
        Digest::from(self.0).hex()
    }
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    fs::read_dir(path)?.try_for_each(|entry| list(&entry?.path(), files))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(root: &Path) -> String {
        let mut inputs = Inputs::default();
        inputs.tree(root).unwrap();
        inputs.digest()
    }

    #[test]
    fn the_digest_changes_with_content_and_with_names_and_with_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("ext")).unwrap();
        fs::write(folder.path().join("go.sum"), "a").unwrap();
        fs::write(folder.path().join("ext/ext.go"), "b").unwrap();
        let first = digest(folder.path());
        assert_eq!(first, digest(folder.path()));
        fs::write(folder.path().join("ext/ext.go"), "c").unwrap();
        let second = digest(folder.path());
        assert_ne!(first, second);
        fs::rename(folder.path().join("ext/ext.go"), folder.path().join("ext/exu.go")).unwrap();
        assert_ne!(second, digest(folder.path()));
    }

    #[test]
    fn parts_do_not_run_together() {
        let of = |parts: &[&str]| {
            let mut inputs = Inputs::default();
            parts.iter().for_each(|part| {
                inputs.part(part);
            });
            inputs.digest()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    }
}
