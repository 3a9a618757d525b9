//! Programs of this machine.

use std::ffi::OsString;
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

/// What a renderer gets of this process's environment, besides what it is started with: it reads files of anybody who opens a pull request, so
/// no token is within its reach.
const KEPT: [&str; 12] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];
/// The same, by the beginnings of names: where helm and kustomize keep their files.
const KEPT_FAMILIES: [&str; 4] = ["XDG_", "HELM_CACHE", "HELM_CONFIG", "HELM_DATA"];

/// Takes everything out of a program's environment that it need not know.
fn confine(command: &mut Command) {
    let given: Vec<OsString> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_kept = KEPT.contains(&&*text) || KEPT_FAMILIES.iter().any(|family| text.starts_with(family));
        if !is_kept && !given.contains(&name) {
            command.env_remove(&name);
        }
    }
}

/// What a program prints. The inner error is what it says when it fails.
pub(crate) fn output(mut command: Command) -> Result<Result<String, String>> {
    confine(&mut command);
    let done = command.stdin(Stdio::null()).output();
    let done = done.map_err(|source| Error::Program { program: command.get_program().into(), source })?;
    Ok(if done.status.success() {
        String::from_utf8(done.stdout).map_err(|error| format!("what it printed is not UTF-8: {error}"))
    } else {
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renderer_knows_no_secret() {
        // cargo sets this one for every test
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let mut command = Command::new("sh");
        command.args(["-c", "echo \"${CARGO_MANIFEST_DIR-none} ${GIVEN-none} ${PATH:+a path}\""]).env("GIVEN", "given");
        assert_eq!(output(command).unwrap().unwrap(), "none given a path\n");
    }
}
