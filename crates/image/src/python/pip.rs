//! pip, with the package indexes, proxies and credentials of the machine that it runs on.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use slipway_digest::Digest;
use slipway_oci::Platform;

use crate::cache::Cache;
use crate::declaration::Python;
use crate::error::{Error, Result};
use crate::lock::{Package, Wheel};
use crate::python::requirements::Requirement;

/// A Python that has pip, of any version, on any system. It installs nothing and runs no code of a package.
#[derive(Clone, Debug)]
pub(crate) struct Pip<'a> {
    pub(crate) python: &'a Path,
}

/// What wheels are for.
#[derive(Clone, Debug)]
pub(crate) enum For<'a> {
    /// An image: a version of CPython, such as `3.11`, and the minor version of its C library.
    Image { version: &'a str, platform: Platform, glibc: u32 },
    /// The Python that runs pip.
    Here,
}

impl<'a> For<'a> {
    pub(crate) fn image(python: &'a Python, platform: Platform, packages: &[Package]) -> Self {
        Self::Image { version: &python.version, platform, glibc: glibc(packages) }
    }

    /// pip's options that select the files: for an image CPython, and every manylinux tag up to the base's C library.
    fn options(&self) -> Vec<String> {
        let Self::Image { version, platform, glibc } = self else { return Vec::new() };
        let machine = platform.machine();
        let mut tags: Vec<String> = (5..=*glibc).rev().map(|minor| format!("manylinux_2_{minor}_{machine}")).collect();
        tags.extend(["manylinux2014", "manylinux2010", "manylinux1", "linux"].map(|tag| format!("{tag}_{machine}")));
        let mut options: Vec<String> =
            ["--implementation", "cp", "--python-version", version].map(str::to_owned).into();
        options.extend(tags.into_iter().flat_map(|tag| ["--platform".to_owned(), tag]));
        options
    }
}

/// The minor version of the base's C library, with which PyPI's platform tags end; 28 if the base is another image.
fn glibc(packages: &[Package]) -> u32 {
    let libc = packages.iter().find(|package| package.name == "libc6");
    let minor = libc
        .and_then(|libc| libc.version.strip_prefix("2.")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    minor.unwrap_or(28)
}

#[derive(Deserialize)]
struct Report {
    install: Vec<Install>,
}

#[derive(Deserialize)]
struct Install {
    download_info: Download,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Download {
    url: String,
    archive_info: Hashes,
}

#[derive(Deserialize)]
struct Hashes {
    hashes: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

impl Pip<'_> {
    /// The file of each package that fits. pip evaluates the markers that are left for the Python that runs it.
    pub(crate) fn resolve(&self, requirements: &[Requirement], to: &For) -> Result<Vec<Wheel>> {
        let folder = tempfile::tempdir().map_err(Error::file("making", "a temporary folder"))?;
        let list: String = requirements.iter().map(pin).collect();
        let file = folder.path().join("requirements.txt");
        std::fs::write(&file, list).map_err(Error::file("writing", &file))?;
        let mut command = self.command(&["install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]);
        command.arg("--target").arg(folder.path().join("target")).arg("--requirement").arg(&file);
        let output = run(command.args(to.options()))?;
        let report: Report = serde_json::from_str(&output)
            .map_err(|error| Error::malformed("the report of pip install --dry-run", error))?;
        report.install.into_iter().map(locked).collect()
    }

    /// Downloads these wheels into a folder.
    fn download(&self, wheels: &[&Wheel], to: &For, into: &Path) -> Result<()> {
        let list: String = wheels
            .iter()
            .map(|wheel| line(&format!("{}=={}", wheel.name, wheel.version), std::slice::from_ref(&wheel.sha256)))
            .collect();
        let file = into.join("requirements.txt");
        std::fs::write(&file, list).map_err(Error::file("writing", &file))?;
        let mut command = self.command(&["download", "--quiet"]);
        command.arg("--dest").arg(into).arg("--requirement").arg(&file);
        run(command.args(to.options())).map(|_| ())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.python);
        command.args(["-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]).args(arguments);
        command.args(["--no-deps", "--require-hashes", "--only-binary", ":all:"]);
        command.stdin(Stdio::null());
        command
    }
}

fn line(pin: &str, hashes: &[Digest]) -> String {
    let hashes: String = hashes.iter().map(|digest| format!(" --hash={digest}")).collect();
    format!("{pin}{hashes}\n")
}

fn pin(requirement: &Requirement) -> String {
    let Requirement { pin, marker, hashes, .. } = requirement;
    match marker {
        Some(marker) => line(&format!("{pin} ; {marker}"), hashes),
        None => line(pin, hashes),
    }
}

fn run(command: &mut Command) -> Result<String> {
    let program = "pip".to_owned();
    let done = command.output().map_err(|error| Error::Program {
        program: program.clone(),
        reason: format!("{error}; install Python 3 with pip: apt-get install python3-pip, or `make setup`"),
    })?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&done.stderr);
    let lines: Vec<&str> = errors.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(12)..].join("\n");
    if errors.contains("DO NOT MATCH THE HASHES") {
        let reason = format!(
            "a wheel is not the one that was locked; it was not used. If the lock is right, the index or a proxy changed the file.\n{tail}"
        );
        return Err(Error::malformed(program, reason));
    }
    let reason =
        format!("it failed ({}); check that the package index is reachable and has these wheels:\n{tail}", done.status);
    Err(Error::Program { program, reason })
}

fn locked(install: Install) -> Result<Wheel> {
    let Install { download_info, metadata } = install;
    let file =
        download_info.url.rsplit('/').next().unwrap_or_default().split('#').next().unwrap_or_default().to_owned();
    let hex = download_info.archive_info.hashes.get("sha256");
    let hex = hex.ok_or_else(|| Error::malformed(&file, "pip's report has no sha256 of it: use pip 22.2 or newer"))?;
    let sha256 = Digest::from_hex(hex).map_err(|error| Error::malformed(&file, error))?;
    let file = file.replace("%2B", "+").replace("%2b", "+");
    let name = metadata.name.to_lowercase().replace(['_', '.'], "-");
    Ok(Wheel { name, version: metadata.version, file, sha256 })
}

/// The wheels in the cache; those that it does not have are downloaded into it.
pub(crate) fn fetch<'a>(cache: &Cache, pip: &Pip, wheels: &'a [Wheel], to: &For) -> Result<Vec<(&'a Wheel, PathBuf)>> {
    let folder = cache.folder("wheels")?;
    let kept = |wheel: &Wheel| -> Result<bool> {
        let path = folder.join(&wheel.file);
        Ok(path.is_file() && cache.digest_of(&path)? == wheel.sha256)
    };
    let mut missing = Vec::new();
    for wheel in wheels {
        if !kept(wheel)? {
            missing.push(wheel);
        }
    }
    if !missing.is_empty() {
        tracing::info!(wheels = missing.len(), "downloading");
        let part = tempfile::tempdir_in(&folder).map_err(Error::file("writing in", &folder))?;
        pip.download(&missing, to, part.path())?;
        for wheel in missing {
            let (from, kept_at) = (part.path().join(&wheel.file), folder.join(&wheel.file));
            std::fs::rename(&from, &kept_at).map_err(Error::file("keeping", &kept_at))?;
            if !kept(wheel)? {
                let (found, size) = Digest::of_file(&kept_at).map_err(Error::file("reading", &kept_at))?;
                let found = format!("has sha256 {} ({size} bytes)", found.hex());
                return Err(Error::not_locked(&wheel.file, found, wheel.sha256, None));
            }
        }
    }
    Ok(wheels.iter().map(|wheel| (wheel, folder.join(&wheel.file))).collect())
}
