//! What a job finds on its runner: folders of its own, the event's file, and programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;
use slipway_loop::programs::program;
use tempfile::TempDir;

/// `gh`, for Node.js.
const GH: &str = include_str!("gh.mjs");
/// Runs it by the name that the steps call.
const CALLED: &str = "#!/bin/sh\nexec node \"$(dirname \"$0\")/gh.mjs\" \"$@\"\n";
/// In place of programs that would compile for hours, or change this machine.
const MAKE: &str = include_str!("make.sh");
const APT_GET: &str = include_str!("apt-get.sh");
const SUDO: &str = include_str!("sudo.sh");
/// A Python that runners have beside the system's, below `$RUNNER_TOOL_CACHE`.
const PYTHON: &str = "Python/3.11.0/x64/bin/python3";
/// The files by which a step tells its runner something, by the end of their variables' names.
pub(super) const COMMANDS: [&str; 4] = ["output", "env", "path", "summary"];

/// The folders of a job. They go with this value.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) home: PathBuf,
    pub(super) workspace: PathBuf,
    /// `$RUNNER_TEMP`
    pub(super) temporary: PathBuf,
    /// `$RUNNER_TOOL_CACHE`
    pub(super) tool_cache: PathBuf,
    /// The files of [`COMMANDS`].
    pub(super) commands: PathBuf,
    /// Where `gh` and the like are.
    pub(super) programs: PathBuf,
    top: TempDir,
}

impl Folders {
    pub(super) fn new(event: &Value) -> Result<Self> {
        let top = tempfile::tempdir()?;
        let at = |name: &str| top.path().join(name);
        let (home, workspace, temporary) = (at("home"), at("workspace"), at("temporary"));
        let (tool_cache, commands, programs) = (at("tool-cache"), at("commands"), at("programs"));
        let folders = Self { home, workspace, temporary, tool_cache, commands, programs, top };
        for folder in [&folders.home, &folders.workspace, &folders.temporary, &folders.commands, &folders.programs] {
            fs::create_dir(folder)?;
        }
        let python = folders.tool_cache.join(PYTHON);
        fs::create_dir_all(python.parent().unwrap_or(&python))?;
        fs::write(python, "")?;
        fs::write(folders.programs.join("gh.mjs"), GH)?;
        let make = MAKE.replace("SLIPWAY", &program("slipway")?.display().to_string());
        for (name, script) in [("gh", CALLED), ("make", make.as_str()), ("apt-get", APT_GET), ("sudo", SUDO)] {
            let program = folders.programs.join(name);
            fs::write(&program, script)?;
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        }
        fs::write(folders.event(), event.to_string())?;
        Ok(folders)
    }

    /// The file with the event.
    pub(super) fn event(&self) -> PathBuf {
        self.file("event.json")
    }

    /// The file to which `gh workflow run` writes.
    pub(super) fn dispatched(&self) -> PathBuf {
        self.file("dispatched")
    }

    /// A file beside the folders, which no step has a name for.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }
}
