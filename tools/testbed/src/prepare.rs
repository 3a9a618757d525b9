//! Everything that a cluster needs before it can come up.

use crate::build::{self, PROGRAMS};
use crate::progress::Progress;
use crate::{Cache, images, manifests, mirror};

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
    images::assemble(cache, progress)?;
    Ok(())
}
