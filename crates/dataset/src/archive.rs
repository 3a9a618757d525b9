//! The archive of one split of image files: a tar file of `<label>/<file>` whose bytes depend on the names and the content alone.

use std::fs::File;
use std::io::{BufReader, Read, Result, Write};
use std::path::{Component, Path, PathBuf};

use tar::{Builder, EntryType, Header};

/// A file for an archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The label, which is the folder's name.
    pub label: String,
    /// The file's name in that folder.
    pub name: String,
    /// Where the file is.
    pub path: PathBuf,
}

/// The files of a folder that holds `<label>/<file>`, in the archive's order.
///
/// # Errors
/// If something else is there, or the folder cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for label in std::fs::read_dir(folder)? {
        let label = label?;
        for file in std::fs::read_dir(label.path())? {
            let file = file?;
            if !file.file_type()?.is_file() {
                return Err(std::io::Error::other(format!("{} is not a file", file.path().display())));
            }
            entries.push(Entry { label: text(&label)?, name: text(&file)?, path: file.path() });
        }
    }
    entries.sort();
    Ok(entries)
}

fn text(entry: &std::fs::DirEntry) -> Result<String> {
    entry.file_name().into_string().map_err(|name| std::io::Error::other(format!("{name:?} is not UTF-8")))
}

/// Writes an archive of these files, in this order.
///
/// # Errors
/// If a file cannot be read, or the archive not written.
pub fn pack(entries: &[Entry], to: impl Write) -> Result<()> {
    let mut archive = Writer::new(to);
    for Entry { label, name, path } in entries {
        let file = File::open(path)?;
        archive.append(label, name, file.metadata()?.len(), file)?;
    }
    archive.finish()?.flush()
}

/// What a file takes in an archive is a multiple of so many bytes.
pub const BLOCK: u64 = 512;

/// An archive on its way. Files come in the order of their labels and then of their names, as [`pack`] has them.
pub struct Writer<W: Write> {
    archive: Builder<W>,
}

impl<W: Write> Writer<W> {
    /// Writes to `to`.
    pub fn new(to: W) -> Self {
        Self { archive: Builder::new(to) }
    }

    /// Adds a file of `size` bytes.
    ///
    /// # Errors
    /// If it cannot be read, or the archive not written.
    pub fn append(&mut self, label: &str, name: &str, size: u64, content: impl Read) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(size);
        header.set_mode(0o644);
        self.archive.append_data(&mut header, format!("{label}/{name}"), content)
    }

    /// What it is written to.
    pub fn get_ref(&self) -> &W {
        self.archive.get_ref()
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> Result<W> {
        self.archive.into_inner()
    }
}

/// Unpacks an archive into an empty folder; gives the files. Whatever the archive says, nothing is written elsewhere.
///
/// # Errors
/// If it is not such an archive, or a file cannot be written.
pub fn unpack(archive: impl Read, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in tar::Archive::new(BufReader::new(archive)).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        let parts: Vec<Component<'_>> = name.components().collect();
        let (EntryType::Regular, [Component::Normal(label), Component::Normal(_)]) =
            (entry.header().entry_type(), parts.as_slice())
        else {
            return Err(std::io::Error::other(format!("{} in an archive of images", name.display())));
        };
        std::fs::create_dir_all(folder.join(label))?;
        let path = folder.join(&name);
        std::io::copy(&mut entry, &mut File::create_new(&path)?)?;
        files.push(path);
    }
    Ok(files)
}
