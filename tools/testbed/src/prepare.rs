//! Everything that a cluster needs before it can come up.

use crate::build::{self, PROGRAMS};
use crate::images::Which;
use crate::progress::Progress;
use crate::{Cache, images, manifests, mirror};

/// What a node itself consists of, but for containerd.
const NODE: [&str; 4] = ["kube", "etcd", "registry", "gitserve"];

/// Why something could not be made.
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

/// Makes the programs, images, manifests and repositories that are missing or out of date. It looks at digests only, so that
/// it takes a moment when there is nothing to do, and half an hour on two cores when there is everything to do.
///
/// # Errors
/// Something is missing on this machine, or cannot be built; the message says what to do.
pub fn prepare(cache: &Cache, progress: &Progress) -> Result<(), Error> {
    build::build(cache, &PROGRAMS.iter().collect::<Vec<_>>(), progress)?;
    manifests::render(cache, progress)?;
    mirror::make(cache, progress)?;
    images::assemble(cache, Which::All, progress)?;
    Ok(())
}

/// The same for a node that nothing is deployed on: its own programs, and an image to run.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_node(cache: &Cache, progress: &Progress) -> Result<(), Error> {
    let programs = NODE.into_iter().map(build::program).collect::<build::Result<Vec<_>>>()?;
    build::build(cache, &programs, progress)?;
    images::assemble(cache, Which::Node, progress)?;
    Ok(())
}
