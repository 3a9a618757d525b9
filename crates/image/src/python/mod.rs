//! Python packages: locked from a requirements file with hashes, downloaded by pip, unpacked here.

mod library;
mod marker;
mod pip;
mod requirements;
mod scheme;
mod stand_in;
mod venv;
mod wheel;

use std::path::Path;

use slipway_oci::Platform;

use crate::cache::Cache;
use crate::declaration::{Python, Without};
use crate::error::{Error, Result};
use crate::layer::{self, Layer};
use crate::lock::{Package, Wheel};
use crate::patterns::Patterns;
use crate::python::pip::For;
use crate::python::requirements::Requirement;
use crate::python::scheme::Scheme;
use crate::tree::Tree;

pub(crate) use pip::Pip;
pub use venv::venv;

/// To be raised when the same wheels give another layer.
const FORMAT: u32 = 2;

/// The wheels of a requirements file for a platform: names of files and hashes. No wheel is downloaded.
pub(crate) fn lock(
    pip: &Pip,
    file: &Path,
    python: &Python,
    platform: Platform,
    packages: &[Package],
) -> Result<Vec<Wheel>> {
    let environment = marker::Environment::new(&python.version, patch(python, packages)?, platform);
    let mut fitting = Vec::new();
    for requirement in wanted(file, &python.without)? {
        let here = match &requirement.marker {
            Some(marker) => environment
                .holds(marker)
                .map_err(|reason| Error::malformed(format!("{}:{}", file.display(), requirement.line), reason))?,
            None => true,
        };
        if here {
            fitting.push(Requirement { marker: None, ..requirement });
        }
    }
    let mut wheels = pip.resolve(&fitting, &For::image(python, platform, packages))?;
    wheels.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(wheels)
}

/// The requirements of a file without the packages that are left out.
fn wanted(file: &Path, without: &Without) -> Result<Vec<Requirement>> {
    let text = std::fs::read_to_string(file).map_err(Error::file("reading", file))?;
    let shown = file.display().to_string();
    let mut all = requirements::parse(&shown, &text)?;
    let out = patterns(&without.packages)?;
    if let Some(pattern) = out.useless(all.iter().map(Requirement::name)) {
        let reason = format!(
            "no package here is called {pattern}, which python.without.packages of image.yaml names: correct it there"
        );
        return Err(Error::malformed(shown, reason));
    }
    all.retain(|requirement| !out.leave_out(requirement.name()));
    Ok(all)
}

/// The patterns of a declaration. Its reader has refused those that are malformed.
fn patterns(texts: &[String]) -> Result<Patterns> {
    Patterns::new(texts).map_err(|reason| Error::malformed("image.yaml", reason))
}

/// The whole version of the base's Python, such as `3.11.2`.
fn patch(python: &Python, packages: &[Package]) -> Result<String> {
    if packages.is_empty() {
        // the base is another image, so only the declared version is known
        return Ok(format!("{}.0", python.version));
    }
    let name = format!("python{}", python.version);
    let minimal = format!("{name}-minimal");
    let found = packages.iter().find(|package| package.name == name || package.name == minimal);
    let found = found.ok_or_else(|| {
        Error::Package(format!(
            "python.version is {}, but the base has no package {name}: add it to base.debian.packages",
            python.version
        ))
    })?;
    Ok(found.version.split('-').next().unwrap_or(&found.version).to_owned())
}

pub(crate) fn layer(
    cache: &Cache,
    pip: &Pip,
    python: &Python,
    wheels: &[Wheel],
    packages: &[Package],
    platform: Platform,
    fresh: bool,
) -> Result<Layer> {
    let hashes: Vec<String> = wheels.iter().map(|wheel| wheel.sha256.hex()).collect();
    let Without { files, sections, .. } = &python.without;
    let inputs = serde_json::json!([FORMAT, python.version, hashes, files, sections]);
    layer::make(cache, "python", &inputs, fresh, |tree| {
        let found = pip::fetch(cache, pip, wheels, &For::image(python, platform, packages))?;
        let scheme = Scheme::of_image(&python.version);
        unpack(&found, &python.without, &scheme, tree)?;
        // as people call it
        for name in ["python", "python3"] {
            tree.link(&format!("{}/{name}", scheme.scripts), &scheme.interpreter, "slipway")?;
        }
        Ok(())
    })
}

/// Unpacks wheels into a tree, without what is left out, and with a library in the place of each one that others miss now.
fn unpack(wheels: &[(&Wheel, std::path::PathBuf)], without: &Without, scheme: &Scheme, tree: &mut Tree) -> Result<()> {
    let out = patterns(&without.files)?;
    for (wheel, path) in wheels {
        wheel::unpack(path, wheel, scheme, &out, &without.sections, tree)?;
    }
    if without.is_empty() { Ok(()) } else { stand_in::add(tree, &scheme.packages) }
}
