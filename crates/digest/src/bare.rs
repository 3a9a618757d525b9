//! serde's form of a digest as its 64 hexadecimal digits alone: `#[serde(with = "slipway_digest::bare")]`.

use serde::{Deserialize, Deserializer, Serializer, de};

use crate::Digest;

/// Writes the digits.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&digest.hex())
}

/// Reads the digits.
///
/// # Errors
/// When they are not 64 hexadecimal digits in lower case.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
    Digest::from_hex(&String::deserialize(from)?).map_err(de::Error::custom)
}
