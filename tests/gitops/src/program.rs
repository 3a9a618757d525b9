//! The programs, which `testbed build` makes from pinned Go modules.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A program's path: in `SLIPWAY_TESTBED_BIN`, by default where the test cluster keeps its programs.
///
/// # Errors
/// When it is not there, with the command that makes it.
pub fn path(name: &str) -> Result<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")?;
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let folder =
        std::env::var_os("SLIPWAY_TESTBED_BIN").map_or_else(|| cache.join("slipway/testbed/bin"), PathBuf::from);
    let path = folder.join(name);
    ensure!(path.exists(), "{} is not there: `make cluster-build` makes it", path.display());
    Ok(path)
}

/// Whether a test is to be skipped because a program is missing, which it then says. `make test-gitops` sets
/// `SLIPWAY_GITOPS_TESTS=required`, and nothing is skipped.
pub fn skipped(names: &[&str]) -> bool {
    let required = std::env::var_os("SLIPWAY_GITOPS_TESTS").is_some_and(|value| value == "required");
    let missing = names.iter().find_map(|name| match *name {
        "go" => Command::new("go").arg("version").output().err().map(|error| format!("go: {error}")),
        name => path(name).err().map(|error| error.to_string()),
    });
    match missing {
        Some(reason) if !required => {
            println!("skipped: {reason}");
            true
        }
        _ => false,
    }
}

/// What a program printed.
#[derive(Debug)]
pub struct Printed {
    /// On standard output.
    pub output: String,
    /// On standard error.
    pub errors: String,
    /// Whether it ended with 0.
    pub succeeded: bool,
}

/// Runs a command with a text on its standard input.
///
/// # Errors
/// When it cannot be started.
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
    // Beside it, since a program may print before it has read everything. One that does not read at all is no error.
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
/// When it does not build.
pub fn kustomize(folder: &Path) -> Result<String> {
    let printed = run(Command::new(path("kustomize")?).arg("build").arg(folder), "")?;
    ensure!(printed.succeeded, "{} does not build: {}", folder.display(), printed.errors);
    Ok(printed.output)
}
