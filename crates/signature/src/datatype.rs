//! The types of a tensor's elements.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A datatype of the Open Inference Protocol that a tensor of libtorch can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Datatype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    Uint8,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// IEEE half precision.
    Fp16,
    /// The upper half of a [`Self::Fp32`]; an extension of the protocol by Triton.
    Bf16,
    /// IEEE single precision.
    Fp32,
    /// IEEE double precision.
    Fp64,
}

/// A text that names no [`Datatype`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownDatatype {
    /// The protocol has it, but a tensor of libtorch cannot hold it.
    #[error("the datatype {0} has no tensor in libtorch; the datatypes are {all}", all = Datatype::list())]
    Unsupported(&'static str),
    /// Not a datatype of the protocol; holds its first 40 characters.
    #[error("`{0}` is not a datatype; the datatypes are {all}", all = Datatype::list())]
    Unknown(String),
}

impl Datatype {
    /// All of them with their names in the protocol, in its order.
    pub const WORDS: [(&str, Self); 10] = [
        ("BOOL", Self::Bool),
        ("UINT8", Self::Uint8),
        ("INT8", Self::Int8),
        ("INT16", Self::Int16),
        ("INT32", Self::Int32),
        ("INT64", Self::Int64),
        ("FP16", Self::Fp16),
        ("BF16", Self::Bf16),
        ("FP32", Self::Fp32),
        ("FP64", Self::Fp64),
    ];
    /// Datatypes of the protocol for which there is no tensor. libtorch computes nothing with its unsigned types above 8 bits.
    const UNSUPPORTED: [&str; 4] = ["BYTES", "UINT16", "UINT32", "UINT64"];

    /// Its name in the protocol.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
        }
    }

    /// The bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => 1,
            Self::Int16 | Self::Fp16 | Self::Bf16 => 2,
            Self::Int32 | Self::Fp32 => 4,
            Self::Int64 | Self::Fp64 => 8,
        }
    }

    /// Whether its numbers have fractions, and may be infinite or not a number.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::Fp16 | Self::Bf16 | Self::Fp32 | Self::Fp64)
    }

    /// The name that numpy and MLflow use, such as `float32`.
    pub(crate) fn of_numpy(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "uint8" => Self::Uint8,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "float16" => Self::Fp16,
            "bfloat16" => Self::Bf16,
            "float32" => Self::Fp32,
            "float64" => Self::Fp64,
            _ => return None,
        })
    }

    fn list() -> String {
        Self::WORDS.map(|(word, _)| word).join(", ")
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Datatype {
    type Err = UnknownDatatype;

    fn from_str(text: &str) -> Result<Self, UnknownDatatype> {
        if let Some((_, datatype)) = Self::WORDS.into_iter().find(|(word, _)| *word == text) {
            return Ok(datatype);
        }
        Err(match Self::UNSUPPORTED.into_iter().find(|word| *word == text) {
            Some(word) => UnknownDatatype::Unsupported(word),
            None => UnknownDatatype::Unknown(text.chars().take(40).collect()),
        })
    }
}

impl Serialize for Datatype {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Datatype {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_back() {
        for (word, datatype) in Datatype::WORDS {
            assert_eq!((word.parse(), datatype.as_str()), (Ok(datatype), word));
        }
        let error = |text: &str| text.parse::<Datatype>().unwrap_err().to_string();
        assert!(error("BYTES").starts_with("the datatype BYTES has no tensor in libtorch; the datatypes are BOOL, "));
        assert!(error("fp32").starts_with("`fp32` is not a datatype; the datatypes are BOOL, UINT8, "));
    }
}
