//! Where the programs under test are; `make` builds them and says where.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The value of an environment variable that the Makefile sets.
pub fn given(variable: &str) -> Result<PathBuf> {
    let value = std::env::var_os(variable)
        .with_context(|| format!("{variable} is not set: run this through `make test` or `make bench`"))?;
    Ok(PathBuf::from(value))
}

/// A program of this workspace, built by `make build`.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = given("SLIPWAY_BIN")?.join(name);
    ensure!(path.exists(), "{} is not there: run `make build`", path.display());
    Ok(path)
}

/// The repository that this crate lies in.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Clones the committed state into `folder`, so that a run starts from what a newcomer gets and leaves this tree alone.
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
