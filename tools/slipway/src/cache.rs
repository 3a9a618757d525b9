//! The cache folder, shared with the Makefile: all of it can be downloaded or made again.

use std::path::PathBuf;

use crate::failure::Failure;

/// `${XDG_CACHE_HOME:-~/.cache}/slipway`
pub(crate) fn folder() -> Result<PathBuf, Failure> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = given("XDG_CACHE_HOME").or_else(|| given("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("slipway"))
        .ok_or_else(|| Failure::Environment("neither XDG_CACHE_HOME nor HOME is set: set one of them".to_owned()))
}
