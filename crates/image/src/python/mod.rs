//! Python packages: locked from a requirements file with hashes, downloaded by pip, unpacked here.

mod marker;
mod pip;
mod requirements;
mod wheel;

use std::path::Path;

use slipway_oci::Platform;

use crate::cache::Cache;
use crate::declaration::Python;
use crate::error::{Error, Result};
use crate::layer::{self, Layer};
use crate::lock::{Package, Wheel};

pub(crate) use pip::{Pip, fetch};

/// The wheels of a requirements file for a platform: names of files and hashes. No wheel is downloaded.
pub(crate) fn lock(
    pip: &Pip,
    file: &Path,
    python: &Python,
    platform: Platform,
    packages: &[Package],
) -> Result<Vec<Wheel>> {
    let text = std::fs::read_to_string(file).map_err(Error::file("reading", file))?;
    let all = requirements::parse(&file.display().to_string(), &text)?;
    let environment = marker::Environment::new(&python.version, patch(python, packages)?, platform);
    let mut fitting = Vec::new();
    for requirement in all {
        let here = match &requirement.marker {
            Some(marker) => environment
                .holds(marker)
                .map_err(|reason| Error::malformed(format!("{}:{}", file.display(), requirement.line), reason))?,
            None => true,
        };
        if here {
            fitting.push(requirement);
        }
    }
    let mut wheels = pip.resolve(&fitting, &python.version, platform, glibc(packages))?;
    wheels.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(wheels)
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

/// The minor version of the base's C library, with which PyPI's platform tags end; 28 if the base is another image.
fn glibc(packages: &[Package]) -> u32 {
    let libc = packages.iter().find(|package| package.name == "libc6");
    let minor = libc
        .and_then(|libc| libc.version.strip_prefix("2.")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    minor.unwrap_or(28)
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
    let inputs = serde_json::json!([python.version, hashes]);
    layer::make(cache, "python", &inputs, fresh, |tree| {
        for (wheel, path) in fetch(cache, pip, wheels, &python.version, platform, glibc(packages))? {
            wheel::unpack(&path, wheel, &python.version, tree)?;
        }
        Ok(())
    })
}
