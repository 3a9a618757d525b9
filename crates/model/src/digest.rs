//! The identity of a bundle's content.

use std::path::Path;

use slipway_digest::Digest;

use crate::bundle::{CONFIG_FILE, WEIGHTS_FILE};
use crate::{Error, Result};

/// The SHA-256 over the lines that `sha256sum config.json model.safetensors` prints in a bundle's folder.
///
/// The TorchScript copy is left out: it is derived from these two, and its bytes depend on libtorch's version.
///
/// # Errors
/// When one of the two files cannot be read.
pub fn bundle_digest(folder: &Path) -> Result<Digest> {
    let mut lines = String::new();
    for name in [CONFIG_FILE, WEIGHTS_FILE] {
        let path = folder.join(name);
        let (digest, _) = Digest::of_file(&path).map_err(Error::read(&path))?;
        lines += &format!("{}  {name}\n", digest.hex());
    }
    Ok(Digest::of(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_that_of_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        let digest = |config: &str, weights: &str| {
            std::fs::write(folder.path().join(CONFIG_FILE), config).unwrap();
            std::fs::write(folder.path().join(WEIGHTS_FILE), weights).unwrap();
            bundle_digest(folder.path()).unwrap().to_string()
        };
        // printf a >config.json; printf b >model.safetensors; sha256sum config.json model.safetensors | sha256sum
        assert_eq!(digest("a", "b"), "sha256:2ec03c7ff898c7ab725c8d58af6d528d62b7f17133ca75e8ec918887bc0ce1c7");
        assert_ne!(digest("a", "b"), digest("b", "a"));
    }
}
