//! Few packs: each fetch adds one, and every object is looked for in all of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::incoming::{move_in, quarantine, read_index};
use crate::{Error, Repository, Result};

/// So many small packs become one.
const MANY: usize = 50;
/// A larger pack stays as it is, so that little is written again.
const SMALL: u64 = 16 << 20;
/// How long packs stay whose objects are in another one: whoever reads the repository meanwhile may have found them.
const GRACE: Duration = Duration::from_secs(15 * 60);
/// The file in the repository that names them.
const SUPERSEDED: &str = "slipway-superseded";

/// Makes one pack of many small ones, and removes those of the last time. No object is lost, whether anything refers to it or not.
///
/// # Errors
/// When the repository cannot be read or written.
pub(crate) fn tidy(repository: &Repository) -> Result<()> {
    let failed = || Error::io("tidying the packs of a mirror");
    let superseded = repository.git_folder().join(SUPERSEDED);
    match fs::metadata(&superseded).and_then(|data| data.modified()) {
        Ok(then) if then.elapsed().is_ok_and(|age| age < GRACE) => return Ok(()),
        Ok(_) => remove(repository, &superseded).map_err(failed())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed()(error)),
    }
    let small = small_packs(&repository.objects_folder().join("pack")).map_err(failed())?;
    if small.len() < MANY {
        return Ok(());
    }
    let new = pack_together(repository, &small)?;
    let names = small.iter().filter_map(|pack| pack.file_stem()?.to_str()).filter(|name| *name != new);
    fs::write(&superseded, names.collect::<Vec<_>>().join("\n")).map_err(failed())
}

/// The packs that are small.
fn small_packs(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut small = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_pack = path.extension().is_some_and(|ending| ending == "pack") && path.with_extension("idx").exists();
        if is_pack && fs::metadata(&path)?.len() < SMALL {
            small.push(path);
        }
    }
    Ok(small)
}

/// Writes the objects of some packs into a new one; its name.
fn pack_together(repository: &Repository, packs: &[PathBuf]) -> Result<String> {
    let failed = || repository.failed("writing");
    let folder = quarantine(&repository.objects_folder())?;
    let handle = repository.handle()?;
    let mut builder = handle.packbuilder().map_err(failed())?;
    builder.set_threads(1);
    for pack in packs {
        for id in read_index(&pack.with_extension("idx"))?.ids() {
            builder.insert_object(id, None).map_err(failed())?;
        }
    }
    let inside = folder.path().join("pack");
    builder.write(&inside, 0o444).map_err(failed())?;
    let name = builder.name().ok().flatten().map(|name| format!("pack-{name}")).unwrap_or_default();
    move_in(&inside, &name, &repository.objects_folder())?;
    Ok(name)
}

/// Removes the packs that a file names, and the file.
fn remove(repository: &Repository, superseded: &Path) -> io::Result<()> {
    let packs = repository.objects_folder().join("pack");
    for name in fs::read_to_string(superseded)?.lines().filter(|name| name.starts_with("pack-") && !name.contains('/'))
    {
        // without its index nobody looks for a pack
        for ending in ["idx", "pack"] {
            match fs::remove_file(packs.join(format!("{name}.{ending}"))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    fs::remove_file(superseded)
}
