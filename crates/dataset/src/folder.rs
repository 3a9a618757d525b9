//! The folder into which a dataset is unpacked.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use slipway_digest::Hashing;

use crate::manifest::{Column, Format, Table};
use crate::{Blob, Digest, Error, Manifest, Result, archive};

/// Describes the dataset to a program.
const DESCRIPTION: &str = "dataset.json";
/// Every program may read it, none should write it.
const READ_ONLY: u32 = 0o444;

/// A folder of files that a digest stands for.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
    description: String,
    parts: Vec<Part>,
}

/// What one blob of the dataset becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where it is in the folder: a file, or the folder of an archive's files.
    pub(crate) name: String,
    pub(crate) blob: Blob,
    pub(crate) is_archive: bool,
}

/// New content on its way into the folder.
#[derive(Debug, Clone)]
pub(crate) struct Staging {
    path: PathBuf,
    folder: Folder,
}

impl Folder {
    pub(crate) fn new(cache: &Path, digest: &Digest, manifest: &Manifest) -> Self {
        let path = cache.join("datasets").join(digest.hex());
        Self { path, description: description(digest, manifest), parts: parts(manifest) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that is locked while the folder is read or written, and its path.
    pub(crate) fn lock_file(&self) -> Result<(File, PathBuf)> {
        let path = self.path.with_extension("lock");
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| Error::file("create", parent, &error))?;
        }
        let file = File::options().create(true).append(true).open(&path);
        Ok((file.map_err(|error| Error::file("write", &path, &error))?, path))
    }

    /// The parts that are not as they should be; `None` if the whole folder is right, and nothing else is in it.
    pub(crate) fn wrong(&self) -> Result<Option<Vec<Part>>> {
        let wrong: Vec<Part> = self.parts.iter().filter(|part| !part.is_right_in(&self.path)).cloned().collect();
        let described =
            std::fs::read(self.path.join(DESCRIPTION)).is_ok_and(|text| text == self.description.as_bytes());
        let whole = wrong.is_empty() && described && self.strangers(&BTreeSet::new())?.is_empty();
        Ok((!whole).then_some(wrong))
    }

    /// An empty folder beside it; what a process that was killed left there is removed.
    pub(crate) fn stage(self) -> Result<Staging> {
        let path = self.path.with_extension("part");
        remove(&path)?;
        std::fs::create_dir_all(&path).map_err(|error| Error::file("create", &path, &error))?;
        Ok(Staging { path, folder: self })
    }

    /// Files that do not belong there. Those within an archive's folder do, unless the archive was unpacked again and `renewed` lacks them.
    fn strangers(&self, renewed: &BTreeSet<PathBuf>) -> Result<Vec<PathBuf>> {
        let belongs = |file: &PathBuf| {
            file == Path::new(DESCRIPTION)
                || renewed.contains(file)
                || self.parts.iter().any(|part| {
                    let name = Path::new(&part.name);
                    let is_renewed = || renewed.iter().any(|new| new.starts_with(name));
                    file == name || part.is_archive && file.starts_with(name) && !is_renewed()
                })
        };
        Ok(files(&self.path)?.into_iter().filter(|file| !belongs(file)).collect())
    }
}

impl Part {
    fn is_right_in(&self, folder: &Path) -> bool {
        let path = folder.join(&self.name);
        let found = if self.is_archive {
            // the same files give the same archive
            archive::entries(&path).and_then(|entries| {
                let mut hash = Hashing::new(std::io::sink());
                archive::pack(&entries, &mut hash)?;
                let (_, digest, size) = hash.finish();
                Ok((digest, size))
            })
        } else if path.is_symlink() {
            return false;
        } else {
            Digest::of_file(&path)
        };
        found.is_ok_and(|found| found == (self.blob.digest, self.blob.size))
    }
}

impl Staging {
    /// Puts a verified file of the cache in its place, without a copy if the file system can.
    pub(crate) fn link(&self, part: &Part, file: &Path) -> Result<()> {
        let path = self.prepare(&part.name)?;
        std::fs::hard_link(file, &path)
            .or_else(|_| std::fs::copy(file, &path).map(drop))
            .map_err(|error| Error::file("write", &path, &error))?;
        read_only(&path)
    }

    /// Unpacks a verified archive.
    pub(crate) fn unpack(&self, part: &Part, archive: File) -> Result<()> {
        let path = self.prepare(&part.name)?;
        std::fs::create_dir(&path).map_err(|error| Error::file("create", &path, &error))?;
        let files =
            archive::unpack(archive, &path).map_err(|error| Error::file("unpack an archive into", &path, &error))?;
        for file in files {
            read_only(&file)?;
        }
        Ok(())
    }

    /// Moves what was staged into the folder. Each file is replaced in one step, so that a program that reads there finds it.
    pub(crate) fn install(self) -> Result<()> {
        let description = self.path.join(DESCRIPTION);
        std::fs::write(&description, &self.folder.description)
            .map_err(|error| Error::file("write", &description, &error))?;
        read_only(&description)?;
        let folder = &self.folder.path;
        let staged: BTreeSet<PathBuf> = files(&self.path)?.into_iter().collect();
        for stranger in self.folder.strangers(&staged)? {
            remove(&folder.join(stranger))?;
        }
        if !folder.is_dir() {
            return std::fs::rename(&self.path, folder).map_err(|error| Error::file("write", folder, &error));
        }
        for file in &staged {
            let path = folder.join(file);
            if path.is_dir() {
                remove(&path)?;
            }
            create_parent(&path)?;
            std::fs::rename(self.path.join(file), &path).map_err(|error| Error::file("write", &path, &error))?;
        }
        remove(&self.path)
    }

    fn prepare(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        create_parent(&path)?;
        Ok(path)
    }
}

/// Where each blob goes.
fn parts(manifest: &Manifest) -> Vec<Part> {
    let place = |name: String| match (&manifest.content, name.split_once('/')) {
        (Format::Idx(_), Some((split, "images"))) => format!("{split}/images-idx3-ubyte"),
        (Format::Idx(_), Some((split, _))) => format!("{split}/labels-idx1-ubyte"),
        (Format::Csv(_), _) => format!("{name}.csv"),
        (Format::Parquet(_), _) => format!("{name}.parquet"),
        _ => name,
    };
    let is_archive = matches!(manifest.content, Format::Images(_));
    manifest.blobs().map(|(name, blob)| Part { name: place(name), blob, is_archive }).collect()
}

/// What `dataset.json` says: the manifest without its blobs.
fn description(digest: &Digest, manifest: &Manifest) -> String {
    let counts = manifest.counts();
    let mut description = json!({
        "name": manifest.name,
        "digest": digest,
        "format": manifest.format(),
        "shape": manifest.shape(),
        "classes": manifest.classes(),
        "labels": manifest.labels(),
        "counts": {"train": counts.train, "validation": counts.validation, "test": counts.test},
    });
    if let Format::Csv(Table { features, label, .. }) | Format::Parquet(Table { features, label, .. }) =
        &manifest.content
    {
        description["features"] = features.iter().map(column).collect();
        description["label"] = column(label);
    }
    format!("{description:#}\n")
}

fn column(column: &Column) -> serde_json::Value {
    json!({"name": column.name, "type": column.kind})
}

/// Every file below a folder, by its path there; none if the folder does not exist. A link counts as a file.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(within) = folders.pop() {
        let path = folder.join(&within);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::file("read", &path, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| Error::file("read", &path, &error))?;
            let name = within.join(entry.file_name());
            let kind = entry.file_type().map_err(|error| Error::file("read", &entry.path(), &error))?;
            if kind.is_dir() { folders.push(name) } else { files.push(name) }
        }
    }
    Ok(files)
}

fn create_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent).map_err(|error| Error::file("create", parent, &error))
}

fn read_only(path: &Path) -> Result<()> {
    let done = std::fs::set_permissions(path, Permissions::from_mode(READ_ONLY));
    done.map_err(|error| Error::file("change the permissions of", path, &error))
}

/// Removes a file or a folder, if it is there.
fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("remove", path, &error)),
        _ => Ok(()),
    }
}
