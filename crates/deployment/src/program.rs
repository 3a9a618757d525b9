//! Programs of this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Error, Result};

/// A program by its path, or by its name on the PATH.
pub(crate) fn on_path(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.canonicalize().ok().filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// What a program prints. The inner error is what it says when it fails.
pub(crate) fn output(mut command: Command) -> Result<Result<String, String>> {
    let done = command.stdin(Stdio::null()).output();
    let done = done.map_err(|source| Error::Program { program: command.get_program().into(), source })?;
    Ok(if done.status.success() {
        String::from_utf8(done.stdout).map_err(|error| format!("what it printed is not UTF-8: {error}"))
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    })
}
