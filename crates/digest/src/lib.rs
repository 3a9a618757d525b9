//! SHA-256 digests, written `sha256:<64 hexadecimal digits in lower case>`, of bytes, files and streams.

pub mod bare;
mod digest;
mod hashing;

pub use digest::{Digest, NotADigest};
pub use hashing::Hashing;
