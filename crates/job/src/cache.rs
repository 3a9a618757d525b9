//! The one folder that a worker writes to.

use std::path::PathBuf;

use slipway_names::env;

/// `SLIPWAY_CACHE`, or a folder in the system's temporary folder. A worker writes nowhere else.
#[must_use]
pub fn cache() -> PathBuf {
    std::env::var_os(env::CACHE)
        .filter(|path| !path.is_empty())
        .map_or_else(|| std::env::temp_dir().join("slipway-cache"), PathBuf::from)
}
