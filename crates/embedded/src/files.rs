//! Files that are replaced as a whole.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Writes a file so that a reader sees the old content or the new, never a part.
///
/// The content is not forced to the disk. It survives the end of this process, whatever the reason; after a power cut the file may
/// have its old content or none. That is enough for all that main or the next start brings back; [`write_durably`] is for the rest.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    let new = beside(path);
    fs::write(&new, content).and_then(|()| fs::rename(&new, path)).map_err(Error::file("writing", path))
}

/// Writes a file as [`write`] does and returns once it also survives a power cut: the content is on the disk before it gets its name,
/// and then so is the folder, which holds the name.
pub(crate) fn write_durably(path: &Path, content: &[u8]) -> Result<()> {
    let new = beside(path);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_data()?;
        fs::rename(&new, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    });
    written.map_err(Error::file("writing", path))
}

/// Writes a file as [`write`] does that its owner alone may read: it holds a secret.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let new = beside(path);
    let written = || {
        // one that a killed process has left may be readable by others
        match fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        fs::rename(&new, path)
    };
    written().map_err(Error::file("writing", path))
}

/// The name under which a new content is written.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Creates a folder and those above it, if they do not exist.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::file("creating", path))
}

/// The content of a file; `None` if it does not exist.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("reading", path)(error)),
    }
}
