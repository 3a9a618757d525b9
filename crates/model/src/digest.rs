//! The identity of a bundle's content.

use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::bundle::{CONFIG_FILE, WEIGHTS_FILE};
use crate::{Error, Result};

/// Digest of the bundle in a folder: see [`digest_of`].
pub fn bundle_digest(dir: &Path) -> Result<String> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).map_err(Error::read(&path))
    };
    Ok(digest_of(&read(CONFIG_FILE)?, &read(WEIGHTS_FILE)?))
}

/// `sha256:` and 64 hexadecimal digits: the SHA-256 over the lines that `sha256sum config.json model.safetensors` prints.
///
/// The TorchScript copy is left out: it is derived from these two, and its bytes depend on libtorch's version.
pub fn digest_of(config: &[u8], weights: &[u8]) -> String {
    let mut lines = String::new();
    for (name, bytes) in [(CONFIG_FILE, config), (WEIGHTS_FILE, weights)] {
        lines.push_str(&hex(&Sha256::digest(bytes)));
        lines.push_str("  ");
        lines.push_str(name);
        lines.push('\n');
    }
    format!("sha256:{}", hex(&Sha256::digest(lines)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_that_of_sha256sum() {
        // printf a >config.json; printf b >model.safetensors; sha256sum config.json model.safetensors | sha256sum
        assert_eq!(digest_of(b"a", b"b"), "sha256:2ec03c7ff898c7ab725c8d58af6d528d62b7f17133ca75e8ec918887bc0ce1c7");
        assert_ne!(digest_of(b"a", b"b"), digest_of(b"b", b"a"));
    }
}
