//! Locates the programs under test, which `make` builds. The Makefile's variables say where they are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The path in an environment variable that the Makefile sets.
pub fn given(variable: &str) -> Result<PathBuf> {
    let value = std::env::var_os(variable)
        .with_context(|| format!("{variable} is not set: run this through `make test` or `make bench`"))?;
    Ok(PathBuf::from(value))
}

/// A program of this workspace, built by `make build`.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = given("SLIPWAY_BIN")?.join(name);
    ensure!(path.exists(), "{} does not exist: run `make build`", path.display());
    Ok(path)
}

/// The repository that contains this crate.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A bare repository with the clone's commit on `main`: where pull requests go.
pub fn forge_of(clone: &Path, forge: &Path) -> Result<()> {
    let git = |arguments: &[&std::ffi::OsStr]| -> Result<()> {
        let done = Command::new("git").arg("-C").arg(clone).args(arguments).output()?;
        ensure!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    };
    git(&["init".as_ref(), "--quiet".as_ref(), "--bare".as_ref(), "--initial-branch=main".as_ref(), forge.as_ref()])?;
    git(&["push".as_ref(), "--quiet".as_ref(), forge.as_ref(), "HEAD:refs/heads/main".as_ref()])
}

/// Clones the committed state into `folder`, so that a run starts from what a newcomer gets and does not change this work tree.
pub fn fresh_clone(folder: &Path) -> Result<()> {
    let done = Command::new("git")
        .args(["clone", "--quiet", "--no-hardlinks"])
        .arg(repository())
        .arg(folder)
        .output()
        .context("git is needed")?;
    ensure!(done.status.success(), "git clone: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
