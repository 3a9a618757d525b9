//! The `go` command.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Error, Program, Result};
use crate::Cache;
use crate::file::at;
use crate::progress::Step;

/// How many lines of a failed build are shown.
const SHOWN: usize = 20;

/// The arguments of `go build` for a program; part of its stamp.
pub(super) fn arguments(program: &Program) -> Vec<String> {
    let mut linker = "-s -w".to_owned();
    for (name, value) in program.variables {
        linker.push_str(&format!(" -X {name}={value}"));
    }
    // without debug information a build is a fifth faster and a program a quarter smaller
    ["-trimpath", "-buildvcs=false", "-mod=readonly", "-gcflags=all=-dwarf=false", "-ldflags", &linker, program.package]
        .map(str::to_owned)
        .to_vec()
}

/// Go's version and architecture, as it prints them.
pub(super) fn version() -> Result<String> {
    let output = go(Path::new("/")).args(["env", "GOVERSION", "GOARCH"]).output().map_err(Error::NoGo)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().replace('\n', " "))
}

/// Compiles a program into the cache. If that fails, the earlier program stays.
pub(super) fn build(cache: &Cache, program: &Program, folder: &Path, step: &Step) -> Result<()> {
    let log = cache.log().join(format!("build-{}.log", program.name));
    let mut output = File::create(&log).map_err(at(&log))?;
    let new = cache.bin().join(format!(".{}.new", program.name));
    let mut child = go(folder)
        .args(["build", "-v", "-o"])
        .arg(&new)
        .args(arguments(program))
        .env("CGO_ENABLED", "0")
        .env("GOCACHE", cache.gocache())
        // more memory costs less than the time of the compiler's garbage collector
        .env("GOGC", "400")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::NoGo)?;
    // a build may take minutes: what the user does meanwhile has priority
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = rustix::process::setpriority_process(rustix::process::Pid::from_raw(pid), 5);
    }
    let mut last = Vec::new();
    let mut compiled = 0usize;
    let Some(errors) = child.stderr.take() else { unreachable!("standard error is piped") };
    for line in BufReader::new(errors).lines().map_while(io::Result::ok) {
        let _ = writeln!(output, "{line}");
        match line.strip_prefix("go: downloading ") {
            Some(module) => step.now(&format!("downloading {module}")),
            // -v prints each package when its compilation ends
            None if !line.contains(' ') => {
                compiled += 1;
                step.now(&format!("{compiled} packages compiled, {line}"));
            }
            None => {
                last.push(line);
                if last.len() > SHOWN {
                    last.remove(0);
                }
            }
        }
    }
    let status = child.wait().map_err(Error::NoGo)?;
    if !status.success() {
        let command = format!("go build {}", program.package);
        return Err(Error::Go { program: program.name.to_owned(), command, last: last.join("\n"), log });
    }
    let path = cache.program(program.name);
    Ok(fs::rename(&new, &path).map_err(at(&path))?)
}

/// The folder into which Go has unpacked a module that the one in `folder` needs.
pub(super) fn module_folder(folder: &Path, module: &str) -> Result<PathBuf> {
    let command = format!("go mod download -json {module}");
    let output = go(folder).args(["mod", "download", "-json", module]).output().map_err(Error::NoGo)?;
    let printed = || {
        let text = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
        Error::Printed { command: command.clone(), printed: String::from_utf8_lossy(text).into_owned() }
    };
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|_| printed())?;
    answer["Dir"].as_str().map(PathBuf::from).ok_or_else(printed)
}

/// Go in a folder, without the variables of the user's environment that would change what is built.
fn go(folder: &Path) -> Command {
    let mut command = Command::new("go");
    command.current_dir(folder).stdin(Stdio::null()).env("GOWORK", "off").env("GOFLAGS", "");
    command
}
