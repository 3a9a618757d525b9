//! The last layers: programs of this workspace, and files of this repository.

use std::path::{Path, PathBuf};

use slipway_git::{Repository, Tracked};
use slipway_oci::Platform;

use crate::declaration::File;
use crate::elf::{self, Elf};
use crate::error::{Error, Result};
use crate::layer::{self, Layer};
use crate::libtorch;
use crate::lock::Package;
use crate::parse::Declared;
use crate::patterns::Patterns;
use crate::sources::Sources;
use crate::tree::Content;

/// One file that goes into the layer.
struct Item {
    to: String,
    from: PathBuf,
    executable: bool,
    /// What it links to; `None` unless it is a program of this workspace.
    elf: Option<Elf>,
}

/// A layer with the programs and, above it, one with the files of the repository: a change of the latter leaves the former as it is.
/// Each is there only if the declaration names something for it.
pub(crate) fn layers(
    sources: &Sources,
    declared: &Declared,
    packages: &[Package],
    platform: Platform,
    fresh: bool,
) -> Result<Vec<Layer>> {
    let (mut programs, mut repository) = (Vec::new(), Vec::new());
    for file in &declared.image.spec.files {
        match (&file.binary, &file.path) {
            (Some(binary), _) => programs.push(program(sources, declared, packages, platform, binary, &file.to)?),
            (None, Some(path)) => repository.extend(files(declared, file, path)?),
            (None, None) => {}
        }
    }
    let mut made = Vec::new();
    for (name, items) in [("programs", programs), ("files", repository)] {
        if !items.is_empty() {
            made.push(layer(sources, name, &items, fresh)?);
        }
    }
    Ok(made)
}

fn layer(sources: &Sources, name: &str, items: &[Item], fresh: bool) -> Result<Layer> {
    let mut inputs = Vec::new();
    for item in items {
        inputs.push(serde_json::json!([
            item.to,
            sources.cache.digest_of(&item.from)?.hex(),
            item.executable,
            item.elf.is_some()
        ]));
    }
    layer::make(&sources.cache, name, &serde_json::Value::from(inputs), fresh, |tree| {
        for item in items {
            let content = match item.elf.as_ref().filter(|elf| elf.search.is_some()) {
                Some(elf) => Content::Bytes(relocated(&item.from, elf)?),
                None => Content::Disk(item.from.clone()),
            };
            tree.file(&item.to, content, item.executable, &item.from.display().to_string())?;
        }
        Ok(())
    })
}

/// A program whose search path for libraries names the image's folder instead of this machine's.
fn relocated(path: &Path, elf: &Elf) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(Error::file("reading", path))?;
    elf::with_search(bytes, elf, libtorch::FOLDER).ok_or_else(|| {
        let old = elf.search.as_ref().map(|(_, old)| old.as_str()).unwrap_or_default();
        let reason = format!(
            "its search path for libraries, {old}, is shorter than {}, which is written over it: link it again, with a libtorch in a folder with a longer path",
            libtorch::FOLDER
        );
        Error::malformed(path.display().to_string(), reason)
    })
}

/// cargo's target of a platform.
pub(crate) fn target(platform: Platform) -> &'static str {
    match platform {
        Platform::Amd64 => "x86_64-unknown-linux-gnu",
        Platform::Arm64 => "aarch64-unknown-linux-gnu",
    }
}

fn is_native(platform: Platform) -> bool {
    platform == Platform::of_this_machine() && cfg!(target_os = "linux")
}

/// Where cargo puts a program.
pub(crate) fn program_path(sources: &Sources, platform: Platform, binary: &str) -> PathBuf {
    let folder = if is_native(platform) { sources.target.clone() } else { sources.target.join(target(platform)) };
    folder.join("release").join(binary)
}

fn program(
    sources: &Sources,
    declared: &Declared,
    packages: &[Package],
    platform: Platform,
    binary: &str,
    to: &str,
) -> Result<Item> {
    let native = is_native(platform);
    let option = if native { String::new() } else { format!(" --target {}", target(platform)) };
    let from = program_path(sources, platform, binary);
    let command = format!("cargo build --release --locked --workspace --bin {binary}{option}");
    if !from.is_file() {
        if !native {
            let reason = format!(
                "{} is missing: run `{command}` on a machine with the toolchain for {}",
                from.display(),
                target(platform)
            );
            return Err(Error::Platform { image: declared.name().to_owned(), platform: platform.to_string(), reason });
        }
        return Err(Error::Missing { what: format!("the program {binary}"), path: from, command });
    }
    let elf = elf::read(&from)?;
    let wrong =
        |reason: String| Error::Platform { image: declared.name().to_owned(), platform: platform.to_string(), reason };
    if elf.machine != elf::machine(platform) {
        return Err(wrong(format!("{} is for another architecture: run `{command}`", from.display())));
    }
    if let Some(libc) = packages.iter().find(|package| package.name == "libc6") {
        let has = version_of(&libc.version);
        if let Some(needs) = elf::glibc(&elf.versions).filter(|needs| Some(*needs) > has) {
            return Err(wrong(format!(
                "{} was linked with a newer C library (it needs {}.{}) than the base has ({}): compile it on the base's release of \
                 Debian, or raise the suite in image.yaml and lock again",
                from.display(),
                needs.0,
                needs.1,
                libc.version
            )));
        }
    }
    Ok(Item { to: to.to_owned(), from, executable: true, elf: Some(elf) })
}

/// `2.36-9+deb12u14` → (2, 36)
fn version_of(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.split_once('.')?;
    Some((major.parse().ok()?, rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?))
}

/// The tracked files at a path of the repository: those that every checkout of the commit has.
fn files(declared: &Declared, file: &File, path: &str) -> Result<Vec<Item>> {
    let except = Patterns::new(&file.except).map_err(|reason| Error::malformed("image.yaml", reason))?;
    let is_out = |part: &str| except.leave_out(part) || part == "__pycache__" || part.ends_with(".pyc");
    let mut found = Vec::new();
    for Tracked { path: name, mode } in Repository::project(&declared.root)?.tracked(path)? {
        let inside = name.strip_prefix(path.trim_end_matches('/')).unwrap_or_default().trim_start_matches('/');
        if inside.split('/').any(is_out) {
            continue;
        }
        if !matches!(mode, 0o100_644 | 0o100_755) {
            let reason = "is a symbolic link or a submodule: name the files themselves";
            return Err(Error::malformed(&name, reason));
        }
        let to =
            if inside.is_empty() { file.to.clone() } else { format!("{}/{inside}", file.to.trim_end_matches('/')) };
        let from = declared.root.join(&name);
        found.push(Item { to, from, executable: mode == 0o100_755, elf: None });
    }
    if found.is_empty() {
        return Err(Error::Missing {
            what: format!("{path}, which goes to {},", file.to),
            path: declared.root.join(path),
            command: format!("git add {path}"),
        });
    }
    Ok(found)
}
