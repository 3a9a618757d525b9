//! A bare repository that can be had again at any time.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::{Error, Repository, Result};

/// The setting by which a repository is known to be nothing but a cache.
const SETTING: &str = "slipway.cache";

impl Repository {
    /// The cache of a remote in a folder, for [`HttpRemote::fetch`](crate::HttpRemote::fetch): the one that is there, or a new one. One
    /// that a crash has damaged is thrown away. The folder may be the top of a volume.
    ///
    /// # Errors
    /// [`Error::NotACache`] if the folder holds anything else; when it cannot be written.
    pub fn open_cache(folder: &Path) -> Result<Self> {
        let failed = || Error::io("making a cache of a repository");
        let is_empty = match fs::read_dir(folder) {
            // what a file system puts at the top of a volume
            Ok(entries) => entries.flatten().all(|entry| entry.file_name() == "lost+found"),
            Err(error) if error.kind() == ErrorKind::NotFound => true,
            Err(error) => return Err(failed()(error)),
        };
        if !is_empty {
            // one that was being made is empty but for its first files
            if !is_cache(folder) {
                return Err(Error::NotACache(folder.to_owned()));
            }
            match Self::open(folder) {
                // not one that the folder lies in
                Ok(cache) if is_same(cache.git_folder(), folder) && cache.check_references().is_ok() => {
                    return Ok(cache);
                }
                _ => clear(folder).map_err(failed())?,
            }
        }
        fs::create_dir_all(folder).map_err(failed())?;
        // first of all, so that one that is half made is known as well
        fs::write(folder.join("config"), "[slipway]\n\tcache = true\n").map_err(failed())?;
        Self::init_bare(folder)
    }

    /// Whether every reference leads to an object.
    fn check_references(&self) -> Result<()> {
        let handle = self.handle()?;
        let failed = || self.failed("reading");
        for reference in handle.references().map_err(failed())? {
            let reference = reference.and_then(|reference| reference.resolve()).map_err(failed())?;
            reference.peel(git2::ObjectType::Any).map_err(failed())?;
        }
        // libgit2 opens a repository whose HEAD holds anything; other programs do not
        handle.find_reference("HEAD").map_err(failed())?;
        // libgit2 leaves out those that it cannot read
        for name in loose(self.git_folder(), "refs").map_err(Error::io("reading references"))? {
            handle.find_reference(&name).map_err(failed())?;
        }
        Ok(())
    }
}

/// The names of the references below a folder that are files of their own.
fn loose(git_folder: &Path, below: &str) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(git_folder.join(below))? {
        let entry = entry?;
        let name = format!("{below}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            names.append(&mut loose(git_folder, &name)?);
        } else if !name.ends_with(".lock") {
            names.push(name);
        }
    }
    Ok(names)
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// Whether a folder says of itself that it is a cache.
fn is_cache(folder: &Path) -> bool {
    let settings = git2::Config::open(&folder.join("config"));
    settings.and_then(|settings| settings.get_bool(SETTING)).is_ok_and(|is_cache| is_cache)
}

/// Removes everything in a folder; the setting last.
fn clear(folder: &Path) -> std::io::Result<()> {
    let is_setting = |path: &Path| path.file_name().is_some_and(|name| name == "config");
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    let (last, first): (Vec<_>, Vec<_>) = entries.into_iter().partition(|path| is_setting(path));
    for path in first.into_iter().chain(last) {
        if path.file_name().is_some_and(|name| name == "lost+found") {
            continue;
        }
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed?;
    }
    Ok(())
}
