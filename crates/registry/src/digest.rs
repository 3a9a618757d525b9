//! `sha256:…` of bytes and of files.

use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

/// `sha256:…` of some bytes.
pub(crate) fn of(bytes: &[u8]) -> String {
    text(Sha256::new().chain_update(bytes))
}

/// `sha256:…` of a file, and its size.
pub(crate) fn of_file(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = std::fs::File::open(path)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((text(hash), size));
        }
        hash.update(&buffer[..read]);
        size += read as u64;
    }
}

fn text(hash: Sha256) -> String {
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The hexadecimal digits of a digest; only those may name a file.
pub(crate) fn hex(digest: &str) -> Option<&str> {
    let hex = digest.strip_prefix("sha256:")?;
    (hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))).then_some(hex)
}
