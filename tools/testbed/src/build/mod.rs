//! Programs from Go modules: each is built once, and again only if its sources, its flags or Go itself changes.

mod error;
mod go;
mod mend;
mod program;
pub(crate) mod stamp;

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub use error::{Error, Result};
pub use program::{PROGRAMS, Program};

use crate::Cache;
use crate::file::at;
use crate::progress::Progress;

/// The folder with one Go module for each program.
#[must_use]
pub fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("modules")
}

/// The program of that name.
///
/// # Errors
/// The name is not in [`PROGRAMS`]; the message lists the names.
pub fn program(name: &str) -> Result<&'static Program> {
    PROGRAMS.iter().find(|program| program.name == name).ok_or_else(|| Error::NoSuchProgram(name.to_owned()))
}

/// Builds those of `programs` that are missing or out of date.
///
/// Only one process builds at a time; a second one waits, and finds everything built.
///
/// # Errors
/// Go is missing, a module cannot be downloaded, a program does not compile, or the cache cannot be written.
pub fn build(cache: &Cache, programs: &[&Program], progress: &Progress) -> Result<()> {
    for folder in [cache.bin(), cache.log(), cache.gocache(), cache.src()] {
        std::fs::create_dir_all(&folder).map_err(at(&folder))?;
    }
    let _lock = lock(&cache.bin().join(".lock"))?;
    let version = go::version()?;
    for (number, program) in programs.iter().enumerate() {
        let stamp = stamp::of(program, &modules().join(program.module), &version)?;
        if stamp::is_current(&cache.program(program.name), &stamp) {
            continue;
        }
        let step = progress.step(&format!("[{}/{}] {}", number + 1, programs.len(), program.name));
        let folder = mend::prepare(cache, program)?;
        go::build(cache, program, &folder, &step)?;
        stamp::write(&cache.program(program.name), &stamp)?;
        let size = std::fs::metadata(cache.program(program.name)).map_or(0, |metadata| metadata.len());
        step.done(&format!("{} MiB", size >> 20));
    }
    programs.iter().try_for_each(|program| link(cache, program))
}

/// Links the other names of a program to it.
fn link(cache: &Cache, program: &Program) -> Result<()> {
    for name in program.links {
        let path = cache.program(name);
        if std::fs::read_link(&path).is_ok_and(|target| target == Path::new(program.name)) {
            continue;
        }
        let _ = std::fs::remove_file(&path);
        symlink(program.name, &path).map_err(at(&path))?;
    }
    Ok(())
}

/// The folder of a module that a program is built from, as Go has unpacked it.
///
/// # Errors
/// Go is missing, or the module cannot be downloaded.
pub fn module_folder(cache: &Cache, program: &Program, module: &str) -> Result<PathBuf> {
    let folder = mend::folder(cache, program);
    if !folder.exists() {
        mend::prepare(cache, program)?;
    }
    go::module_folder(&folder, module)
}

fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).map_err(at(path))?;
    file.lock().map_err(at(path))?;
    Ok(file)
}
