//! Writes a layout: blobs first, the index last.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::layout::{INDEX_FILE, LAYOUT, LAYOUT_FILE, blobs_folder};
use crate::{Blobs, Descriptor, Document, Error, Index, Layout, Result};

/// A layout to which blobs are added. Its index stays what it was until [`LayoutWriter::finish`].
#[derive(Debug)]
pub struct LayoutWriter {
    folder: PathBuf,
}

impl LayoutWriter {
    /// Adds to the layout in this folder, or begins one.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn open(folder: &Path) -> Result<Self> {
        let blobs = blobs_folder(folder);
        std::fs::create_dir_all(&blobs).map_err(Error::file("making", &blobs))?;
        write(folder, LAYOUT_FILE, LAYOUT.as_bytes())?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The layout's blobs.
    #[must_use]
    pub fn blobs(&self) -> Blobs {
        Blobs::at(blobs_folder(&self.folder))
    }

    /// Stores a small document.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, document: &Document) -> Result<Descriptor> {
        self.blobs().put(&document.bytes)?;
        Ok(document.descriptor())
    }

    /// Writes the index in one step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self, manifests: Vec<Descriptor>) -> Result<Layout> {
        let index = Index::new(manifests);
        write(&self.folder, INDEX_FILE, &index.document().bytes)?;
        Ok(Layout::new(self.folder, index.manifests))
    }
}

/// Writes a layout in place of the one that the folder holds. If this fails, the folder stays as it was. `fill` adds the blobs, and
/// returns what the index will name.
///
/// # Errors
/// When the folder holds anything but a layout, it cannot be written, or `fill` fails.
pub fn replace_layout<E: From<Error>>(
    folder: &Path,
    fill: impl FnOnce(&LayoutWriter) -> std::result::Result<Vec<Descriptor>, E>,
) -> std::result::Result<(), E> {
    let folder = std::path::absolute(folder).map_err(Error::file("writing", folder))?;
    refuse_other_content(&folder)?;
    let parent = folder.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent).map_err(Error::file("making", parent))?;
    let work = tempfile::Builder::new()
        .prefix(".slipway-image-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir_in(parent)
        .map_err(Error::file("writing in", parent))?;
    let new = work.path().join("new");
    let writer = LayoutWriter::open(&new)?;
    let manifests = fill(&writer)?;
    writer.finish(manifests)?;
    let old = work.path().join("old");
    let had_one = match std::fs::rename(&folder, &old) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Error::file("replacing", &folder)(error).into()),
    };
    let Err(source) = std::fs::rename(&new, &folder) else { return Ok(()) };
    if had_one && std::fs::rename(&old, &folder).is_err() {
        let old = work.keep().join("old");
        return Err(Error::Stranded { folder, old, source }.into());
    }
    Err(Error::file("writing", &folder)(source).into())
}

/// Only an empty folder or a layout is replaced.
fn refuse_other_content(folder: &Path) -> Result<()> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::file("writing", folder)(error)),
        Ok(mut entries) => {
            let replaceable = entries.next().is_none() || folder.join(LAYOUT_FILE).is_file();
            if replaceable { Ok(()) } else { Err(Error::Occupied(folder.to_owned())) }
        }
    }
}

/// Writes a file in one step.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    let mut part = Blobs::at(folder).part()?;
    part.write_all(bytes).map_err(Error::file("writing", &path))?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    part.as_file().set_permissions(readable).map_err(Error::file("writing", &path))?;
    part.persist(&path).map_err(|error| Error::file("writing", &path)(error.error))?;
    Ok(())
}
