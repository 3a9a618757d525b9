//! Everything that a cluster needs before it can come up.

use crate::build::{self, PROGRAMS};
use crate::images::Which;
use crate::progress::Progress;
use crate::{Cache, images, manifests, mirror};

/// The programs of a node itself, except containerd.
const NODE: [&str; 4] = ["kube", "etcd", "registry", "gitserve"];

/// Why something could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program.
    #[error(transparent)]
    Build(#[from] build::Error),
    /// An image.
    #[error(transparent)]
    Images(#[from] images::Error),
    /// A manifest.
    #[error(transparent)]
    Manifests(#[from] manifests::Error),
    /// A repository of the mirror.
    #[error(transparent)]
    Mirror(#[from] mirror::Error),
}

/// Builds the programs, images, manifests and repositories that are missing or out of date. It compares digests, so it takes a
/// moment if there is nothing to do, and half an hour on two cores if there is everything to do.
///
/// # Errors
/// This machine lacks something, or something cannot be built; the message says what to do.
pub fn prepare(cache: &Cache, progress: &Progress) -> Result<(), Error> {
    build::build(cache, &PROGRAMS.iter().collect::<Vec<_>>(), progress)?;
    manifests::render(cache, progress)?;
    mirror::make(cache, progress)?;
    images::assemble(cache, Which::All, progress)?;
    Ok(())
}

/// The same for a bare node: its own programs, and an image to run.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_node(cache: &Cache, progress: &Progress) -> Result<(), Error> {
    let programs = NODE.into_iter().map(build::program).collect::<build::Result<Vec<_>>>()?;
    build::build(cache, &programs, progress)?;
    images::assemble(cache, Which::Node, progress)?;
    Ok(())
}
