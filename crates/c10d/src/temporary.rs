//! The folder for temporary files.

use std::path::Path;

/// Sets the folder in which libtorch unpacks compiled packages, for this process and those that it starts (`TMPDIR`). Call it before any
/// thread starts.
pub fn set_temporary_folder(folder: &Path) {
    // SAFETY: the caller has started no thread yet, so nothing reads the environment meanwhile.
    unsafe { std::env::set_var("TMPDIR", folder) };
}
