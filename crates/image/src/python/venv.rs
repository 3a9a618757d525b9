//! The packages of an image in a virtual environment of this machine: from the same requirements, by the same rules, without pip's
//! installer. <https://docs.python.org/3/library/venv.html>

use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use slipway_digest::Digest;

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::parse::Declared;
use crate::python::pip::{self, For, Pip};
use crate::python::scheme::Scheme;
use crate::python::{unpack, wanted};
use crate::tree::Tree;

/// To be raised when the same inputs give another virtual environment.
const FORMAT: u32 = 1;
/// The file that says what a virtual environment was made from, and that it is complete.
const MADE_FROM: &str = "made-from";

/// What a Python says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Interpreter {
    /// Without the patch level, such as `3.11`.
    version: String,
    /// The whole version, with the compiler.
    build: String,
    /// Such as `linux-x86_64`.
    platform: String,
    /// The program itself, also when it was started in a virtual environment.
    program: PathBuf,
}

const ASK: &str = "import json, sys, sysconfig
print(json.dumps({
    'version': '%d.%d' % sys.version_info[:2],
    'build': sys.version,
    'platform': sysconfig.get_platform(),
    'program': getattr(sys, '_base_executable', None) or sys.executable,
}))";

/// The folder of a virtual environment with the Python packages of an image; its Python is `bin/python`. It is made if the cache does
/// not have it yet, and is the same for every image with the same requirements. `python` is a Python with pip: the environment is for
/// its version, which may be newer than the image's.
///
/// # Errors
/// When the image declares no Python packages, `python` does not run, or a package cannot be downloaded or is not the one that was locked.
pub fn venv(declared: &Declared, cache: &Cache, python: &Path) -> Result<PathBuf> {
    let (Some(packages), Some(file)) = (&declared.image.spec.python, declared.requirements_path()) else {
        let reason = "declares no Python packages: add python.version and python.requirements";
        return Err(Error::malformed(declared.folder.join("image.yaml").display().to_string(), reason));
    };
    let requirements = wanted(&file, &packages.without)?;
    let interpreter = ask(python)?;
    let pins: Vec<_> = requirements.iter().map(|one| (&one.pin, &one.marker, &one.hashes)).collect();
    let inputs = serde_json::json!([FORMAT, pins, packages.without, interpreter]).to_string();
    let all = cache.folder("venvs")?;
    let folder = all.join(&Digest::of(&inputs).hex()[..16]);
    // several trials may begin at once, and one of them makes it
    let lock = all.join(".lock");
    let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file)).map_err(Error::file("locking", lock))?;
    if is_made(&folder, &inputs) {
        return Ok(folder);
    }
    tracing::info!(image = declared.name(), packages = requirements.len(), "making a virtual environment");
    let pip = Pip { python };
    let wheels = pip.resolve(&requirements, &For::Here)?;
    let mut tree = Tree::new(&all)?;
    let scheme = Scheme::of_venv(&interpreter.version, first_line(&folder.join("bin/python")));
    unpack(&pip::fetch(cache, &pip, &wheels, &For::Here)?, &packages.without, &scheme, &mut tree)?;
    let part = tempfile::Builder::new().prefix(".part-").tempdir_in(&all).map_err(Error::file("writing in", &all))?;
    tree.write(part.path())?;
    complete(part.path(), &interpreter, &inputs)?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(Error::file("removing", &folder))?;
    }
    std::fs::rename(part.path(), &folder).map_err(Error::file("keeping", &folder))?;
    drop(lock);
    Ok(folder)
}

/// Whether the virtual environment is complete, and its Python still there: a system's Python may have been removed since.
fn is_made(folder: &Path, inputs: &str) -> bool {
    let made_from = std::fs::read_to_string(folder.join(MADE_FROM));
    made_from.is_ok_and(|text| text == inputs) && folder.join("bin/python").exists()
}

/// Adds what makes a folder a virtual environment.
fn complete(folder: &Path, interpreter: &Interpreter, inputs: &str) -> Result<()> {
    let home = interpreter.program.parent().unwrap_or(Path::new("/")).display();
    let version = interpreter.build.split_whitespace().next().unwrap_or_default();
    let about = format!("home = {home}\ninclude-system-site-packages = false\nversion = {version}\n");
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).map_err(Error::file("making", &bin))?;
    symlink(&interpreter.program, bin.join("python")).map_err(Error::file("making", &bin))?;
    for name in ["python3".to_owned(), format!("python{}", interpreter.version)] {
        symlink("python", bin.join(name)).map_err(Error::file("making", &bin))?;
    }
    for (name, text) in [("pyvenv.cfg", about.as_str()), (MADE_FROM, inputs)] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(Error::file("writing", &path))?;
    }
    // a temporary folder is private at first
    std::fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(Error::file("keeping", folder))
}

/// The first line of a script that this Python runs. Linux takes at most 127 bytes of it, and ends the path at a space; then a shell
/// starts the Python, which takes the shell's lines for a text.
fn first_line(python: &Path) -> String {
    let path = python.display().to_string();
    if path.len() <= 120 && !path.contains(' ') {
        return path;
    }
    format!("/bin/sh\n'''exec' \"{path}\" \"$0\" \"$@\"\n' '''")
}

fn ask(python: &Path) -> Result<Interpreter> {
    let failed = |reason: String| Error::Program { program: python.display().to_string(), reason };
    let done = Command::new(python)
        .args(["-I", "-c", ASK])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(format!("{error}; install Python 3 with pip, or set SLIPWAY_PYTHON to one")))?;
    if !done.status.success() {
        return Err(failed(format!("{}: {}", done.status, String::from_utf8_lossy(&done.stderr).trim())));
    }
    serde_json::from_slice(&done.stdout).map_err(|error| failed(format!("it did not say its version: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_starts_what_a_first_line_cannot() {
        assert_eq!(first_line(Path::new("/a/bin/python")), "/a/bin/python");
        let line = first_line(Path::new("/a b/bin/python"));
        assert!(line.starts_with("/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\""), "{line}");
    }
}
