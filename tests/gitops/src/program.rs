//! The programs that these tests run. `testbed build` makes them from pinned Go modules.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A program's path: in `SLIPWAY_TESTBED_BIN`, by default where the test cluster keeps its programs.
///
/// # Errors
/// If it does not exist, with the command that builds it.
pub fn path(name: &str) -> Result<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")?;
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let folder =
        std::env::var_os("SLIPWAY_TESTBED_BIN").map_or_else(|| cache.join("slipway/testbed/bin"), PathBuf::from);
    let path = folder.join(name);
    ensure!(path.exists(), "{} does not exist: `make cluster-build` builds it", path.display());
    Ok(path)
}

/// Checks that the programs of a test exist, so that a missing one is the first thing that a failed test says.
///
/// # Errors
/// The first missing program, with the command that provides it.
pub fn need(names: &[&str]) -> Result<()> {
    for name in names {
        if *name == "go" {
            Command::new("go")
                .arg("version")
                .output()
                .context("go does not run: install Go 1.26 (https://go.dev/dl)")?;
        } else {
            path(name)?;
        }
    }
    Ok(())
}

/// What a program printed.
#[derive(Debug)]
pub struct Printed {
    /// On standard output.
    pub output: String,
    /// On standard error.
    pub errors: String,
    /// Whether its exit code was 0.
    pub succeeded: bool,
}

/// Runs a command with a text on its standard input.
///
/// # Errors
/// If it cannot be started.
pub fn run(command: &mut Command, input: &str) -> Result<Printed> {
    let what = format!("running {}", command.get_program().display());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| what.clone())?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let input = input.to_owned();
    // In a thread, since a program may print before it has read everything. One that does not read at all is not an error.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let done = child.wait_with_output().context(what)?;
    drop(writer.join());
    Ok(Printed {
        output: String::from_utf8_lossy(&done.stdout).into_owned(),
        errors: String::from_utf8_lossy(&done.stderr).into_owned(),
        succeeded: done.status.success(),
    })
}

/// What `kustomize build` makes of a folder.
///
/// # Errors
/// If it does not build.
pub fn kustomize(folder: &Path) -> Result<String> {
    let printed = run(Command::new(path("kustomize")?).arg("build").arg(folder), "")?;
    ensure!(printed.succeeded, "{} does not build: {}", folder.display(), printed.errors);
    Ok(printed.output)
}
