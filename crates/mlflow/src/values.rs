//! The small values that runs and models carry, and how MLflow writes them in JSON.

use std::collections::BTreeMap;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

/// One measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Name; letters, digits, `_`, `-`, `.`, space, `:` and `/`.
    pub key: String,
    /// Value; NaN and infinities are allowed (MLflow keeps infinities as the largest double).
    #[serde(serialize_with = "write_double", deserialize_with = "read_double")]
    pub value: f64,
    /// Time, in milliseconds since 1970.
    #[serde(deserialize_with = "read_int64")]
    pub timestamp: i64,
    /// Step of the training.
    #[serde(default, deserialize_with = "read_int64")]
    pub step: i64,
}

impl Metric {
    /// A value at a time (milliseconds since 1970) and a step.
    pub fn new(key: impl Into<String>, value: f64, timestamp: i64, step: i64) -> Self {
        Self { key: key.into(), value, timestamp, step }
    }
}

/// A run's parameter: set once, never changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Param {
    /// Name.
    pub key: String,
    /// Value; at most 6,000 characters.
    #[serde(default)]
    pub value: String,
}

impl Param {
    /// A parameter.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// A tag of a run, a model or a version; it can be changed at any time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag {
    /// Name.
    pub key: String,
    /// Value; at most 8,000 characters.
    #[serde(default)]
    pub value: String,
}

impl Tag {
    /// A tag.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

// The generic signature is what serde asks for.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn write_double<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    // proto3's JSON mapping: JSON itself has neither NaN nor infinities
    match *value {
        v if v.is_nan() => to.serialize_str("NaN"),
        f64::INFINITY => to.serialize_str("Infinity"),
        f64::NEG_INFINITY => to.serialize_str("-Infinity"),
        v => to.serialize_f64(v),
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText<N> {
    Number(N),
    Text(String),
}

pub(crate) fn read_double<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    match NumberOrText::deserialize(from)? {
        NumberOrText::Number(value) => Ok(value),
        // Rust reads "NaN", "Infinity" and "-Infinity"
        NumberOrText::Text(text) => text.parse().map_err(de::Error::custom),
    }
}

/// proto3 writes 64-bit integers as text; MLflow turns them into numbers in most answers, not in all.
pub(crate) fn read_int64<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    match NumberOrText::deserialize(from)? {
        NumberOrText::Number(value) => Ok(value),
        NumberOrText::Text(text) => text.parse().map_err(de::Error::custom),
    }
}

pub(crate) fn read_optional_int64<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    read_int64(from).map(|value| (value != 0).then_some(value))
}

/// `[{"key": …, "value": …}]`, MLflow's way of writing a map.
pub(crate) fn read_pairs<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Vec::<Tag>::deserialize(from)?.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// MLflow writes what is absent as empty text in some answers.
pub(crate) fn read_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_that_json_has_not_survive() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1, -0.0] {
            let text = serde_json::to_string(&Metric::new("m", value, 1, 2)).unwrap();
            let back: Metric = serde_json::from_str(&text).unwrap();
            assert_eq!(back.value.to_bits(), value.to_bits(), "{text}");
        }
    }

    #[test]
    fn integers_come_as_numbers_or_as_text() {
        let metric: Metric = serde_json::from_str(r#"{"key":"m","value":"NaN","timestamp":"7"}"#).unwrap();
        assert!(metric.value.is_nan() && metric.timestamp == 7 && metric.step == 0);
    }
}
