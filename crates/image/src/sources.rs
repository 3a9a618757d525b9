//! Where a build finds its programs and libraries.

use std::path::PathBuf;

use crate::cache::Cache;

/// What an image is built from on this machine.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Downloads and finished layers.
    pub cache: Cache,
    /// An unpacked libtorch.
    pub libtorch: PathBuf,
    /// cargo's target folder.
    pub target: PathBuf,
    /// A Python with pip, which downloads wheels that the cache does not have.
    pub python: PathBuf,
}
