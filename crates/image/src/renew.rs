//! Makes a new lock, with the newest versions that the mirror and the package index have.

use std::collections::BTreeMap;
use std::path::Path;

use slipway_oci::Platform;

use crate::debian::{self, Available, Index};
use crate::declaration::Base;
use crate::error::Result;
use crate::lock::{self, Lock, Locked, Package};
use crate::parse::Declared;
use crate::python::{self, Pip};

/// Indexes that were downloaded before, so that several images are locked to the same versions.
#[derive(Debug, Default)]
pub struct Indexes(BTreeMap<(String, Platform), Index>);

impl Indexes {
    fn get(&mut self, suite: &str, platform: Platform) -> Result<&Index> {
        let key = (suite.to_owned(), platform);
        if !self.0.contains_key(&key) {
            let index = Index::download(suite, platform)?;
            self.0.insert(key.clone(), index);
        }
        Ok(&self.0[&key])
    }
}

/// Resolves a declaration for these platforms. `python` is a Python that has pip.
///
/// # Errors
/// When a package or a wheel cannot be found, or the mirror's index is not signed by Debian.
pub fn renew(declared: &Declared, platforms: &[Platform], indexes: &mut Indexes, python: &Path) -> Result<Lock> {
    let mut found = BTreeMap::new();
    for platform in platforms {
        let mut locked = Locked::default();
        if let Base::Debian(debian) = &declared.image.spec.base {
            let index = indexes.get(&debian.suite, *platform)?;
            locked.debian = debian::resolve(debian, index)?.into_iter().map(package).collect();
        }
        if let (Some(packages), Some(file)) = (&declared.image.spec.python, declared.requirements_path()) {
            locked.wheels = python::lock(&Pip { python }, &file, packages, *platform, &locked.debian)?;
        }
        found.insert(*platform, locked);
    }
    Ok(Lock { version: lock::VERSION, inputs: lock::inputs(declared)?, platforms: found })
}

fn package(available: &Available) -> Package {
    Package {
        name: available.name.clone(),
        version: available.version.clone(),
        archive: available.archive,
        path: available.path.clone(),
        sha256: available.sha256,
        size: available.size,
    }
}
