//! Builds an image: its layers, its configuration, its manifest.

use std::path::PathBuf;

use serde::Serialize;

use crate::below::Below;
use crate::cache::Cache;
use crate::declaration::Base;
use crate::error::Result;
use crate::layer::Layer;
use crate::lock::{self, Locked};
use crate::manifest::{self, Blob};
use crate::parse::Declared;
use crate::platform::Platform;
use crate::python::{self, Pip};
use crate::revision::Revision;
use crate::{application, base, libtorch};

/// What this machine has to build from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Downloads and finished layers.
    pub cache: Cache,
    /// An unpacked libtorch.
    pub libtorch: PathBuf,
    /// cargo's target folder.
    pub target: PathBuf,
    /// A Python with pip, which gets wheels that the cache does not have.
    pub python: PathBuf,
}

/// An image that was built; its layers lie in the cache.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// The commit that it is of.
    pub revision: Revision,
    /// One a platform, in the order of [`Platform`].
    pub images: Vec<PlatformImage>,
    /// The index over them, when more than one platform was asked for.
    pub index: Option<Blob>,
}

/// The image of one platform.
#[derive(Clone, Debug)]
pub struct PlatformImage {
    /// For which one.
    pub platform: Platform,
    /// Bottom first.
    pub layers: Vec<Layer>,
    /// How it starts.
    pub config: Blob,
    /// What it consists of.
    pub manifest: Blob,
    /// What the lock says goes into it.
    pub locked: Locked,
}

/// What `slipway image build -o json` prints for an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// `sha256:…`, of the manifest, or of the index over several platforms.
    pub digest: String,
    /// Compressed bytes of all layers; a layer that two platforms share counts once.
    pub size: u64,
    /// Such as `linux/amd64`.
    pub platforms: Vec<String>,
}

impl Built {
    /// What the image is pulled by: the index when there is one, else the manifest.
    #[must_use]
    pub fn top(&self) -> &Blob {
        self.index.as_ref().unwrap_or(&self.images[0].manifest)
    }

    /// Its name, digest, size and platforms.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut layers: Vec<&Layer> = self.images.iter().flat_map(|image| &image.layers).collect();
        layers.sort_by(|one, other| one.digest.cmp(&other.digest));
        layers.dedup_by(|one, other| one.digest == other.digest);
        Summary {
            name: self.name.clone(),
            digest: self.top().digest(),
            size: layers.iter().map(|layer| layer.size).sum(),
            platforms: self.images.iter().map(|image| image.platform.to_string()).collect(),
        }
    }
}

/// Builds an image for these platforms; an index over them when there are several. With `fresh` no layer is taken from the cache.
///
/// # Errors
/// When the lock is out of date, something that goes into the image is missing or not what was locked, or a platform cannot be built here.
pub fn build(declared: &Declared, platforms: &[Platform], sources: &Sources, fresh: bool) -> Result<Built> {
    let revision = Revision::of(&declared.root)?;
    let mut platforms = platforms.to_vec();
    platforms.sort();
    platforms.dedup();
    if platforms.is_empty() {
        platforms.push(Platform::of_this_machine());
    }
    // every lock before any work
    let locks: Vec<Locked> = platforms.iter().map(|platform| lock::read(declared, *platform)).collect::<Result<_>>()?;
    let mut images = Vec::new();
    for (platform, locked) in platforms.into_iter().zip(locks) {
        images.push(for_platform(declared, platform, locked, sources, &revision, fresh)?);
    }
    let index = if images.len() > 1 { Some(manifest::index(&images)?) } else { None };
    Ok(Built { name: declared.name().to_owned(), revision, images, index })
}

fn for_platform(
    declared: &Declared,
    platform: Platform,
    locked: Locked,
    sources: &Sources,
    revision: &Revision,
    fresh: bool,
) -> Result<PlatformImage> {
    let (cache, name, spec) = (&sources.cache, declared.name(), &declared.image.spec);
    // what is cheap to find missing comes before what takes long
    let application = application::layer(sources, declared, &locked.debian, platform, fresh)?;
    let libraries = if spec.libtorch { Some(libtorch::libraries(&sources.libtorch, platform, name)?) } else { None };
    let mut layers = Vec::new();
    let mut inherited = Vec::new();
    match &spec.base {
        Base::Debian(_) => layers.push(base::layer(cache, name, &locked.debian, &spec.user, platform, fresh)?),
        Base::Oci(reference) => {
            let below = Below::open(cache, reference, platform, name)?;
            layers.extend(below.layers(cache)?);
            inherited = below.environment();
        }
    }
    if let Some(libraries) = libraries {
        layers.push(libtorch::layer(cache, &libraries, fresh)?);
    }
    if let Some(python) = &spec.python {
        let pip = Pip { python: &sources.python };
        layers.push(python::layer(cache, &pip, python, &locked.wheels, &locked.debian, platform, fresh)?);
    }
    layers.extend(application);
    let config = manifest::config(declared, platform, &layers, &inherited, revision)?;
    let manifest = manifest::manifest(&config, &layers)?;
    Ok(PlatformImage { platform, layers, config, manifest, locked })
}
