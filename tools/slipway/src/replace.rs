//! Writes a file of the work tree in one step.

use std::fs::Permissions;
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Writes a file, and makes its folder if that does not exist. The file has all of the new content or, if this fails, what it had before,
/// also when the disk is full. It keeps its permissions; a link still points to it.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let path = real(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // of a new file, less what the umask takes
    let permissions = Permissions::from_mode(0o666);
    let mut part = tempfile::Builder::new().prefix(".slipway-").permissions(permissions).tempfile_in(folder)?;
    part.write_all(content)?;
    match std::fs::metadata(&path) {
        Ok(metadata) => part.as_file().set_permissions(metadata.permissions())?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    part.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

/// The file that a link leads to.
fn real(path: &Path) -> Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path.to_owned()),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_permissions_and_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a/file"), folder.path().join("link"));
        replace(&file, b"one").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("taken")).unwrap();
        replace(&folder.path().join("taken"), b"x").unwrap_err();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
