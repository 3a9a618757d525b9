//! The gate: what a finished trial's metrics must reach before its model is registered.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Metric;
use crate::spec::words;

/// How a metric is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `<`
    Below,
}

words!(Comparison { AtLeast = ">=", AtMost = "<=", Above = ">", Below = "<" });

impl Comparison {
    /// Whether a larger value is a better one.
    pub fn more_is_better(self) -> bool {
        matches!(self, Self::AtLeast | Self::Above)
    }
}

/// A bound such as `>= 0.97`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// How the metric is compared.
    pub comparison: Comparison,
    /// The limit that it is compared with.
    pub value: f64,
}

/// A metric that misses its bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unmet {
    /// The metric.
    pub metric: Metric,
    /// What it is.
    pub value: f64,
    /// What it had to be.
    pub bound: Bound,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, value, bound } = self;
        write!(f, "{metric} is {value}, but {bound} is required")
    }
}

/// Why a text is not a bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a bound: write one of >=, <=, >, < and a number, such as \">= 0.97\"")]
pub struct BoundError(String);

impl Bound {
    /// Whether a metric meets the bound. NaN never does.
    pub fn met_by(self, metric: f64) -> bool {
        match self.comparison {
            Comparison::AtLeast => metric >= self.value,
            Comparison::AtMost => metric <= self.value,
            Comparison::Above => metric > self.value,
            Comparison::Below => metric < self.value,
        }
    }
}

impl FromStr for Bound {
    type Err = BoundError;

    fn from_str(text: &str) -> Result<Self, BoundError> {
        let wrong = || BoundError(text.to_owned());
        // The two-character signs come first in the list, so that `>=` is not read as `>`.
        let (sign, comparison) = Comparison::WORDS.iter().find(|(sign, _)| text.starts_with(sign)).ok_or_else(wrong)?;
        let number = text[sign.len()..].trim_matches(' ');
        // Plain decimals only, because people read gates.
        let digits = number.strip_prefix('-').unwrap_or(number);
        if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            || !digits.ends_with(|c: char| c.is_ascii_digit())
        {
            return Err(wrong());
        }
        let value = number.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(wrong)?;
        // `+ 0.0` makes -0 the same text as 0.
        Ok(Self { comparison: *comparison, value: value + 0.0 })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.comparison, self.value)
    }
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Bound {
    fn schema_name() -> Cow<'static, str> {
        "Bound".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(>=|<=|>|<) *-?[0-9]*\\.?[0-9]+$"})
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows_bounds() {
        for (text, shown) in [
            (">= 0.97", ">= 0.97"),
            (">=0.970", ">= 0.97"),
            ("<  1", "< 1"),
            ("> .5", "> 0.5"),
            ("<= 0", "<= 0"),
            (">= -12.50", ">= -12.5"),
            ("< -0", "< 0"),
            ("< 250", "< 250"),
        ] {
            assert_eq!(text.parse::<Bound>().map(|bound| bound.to_string()), Ok(shown.to_owned()));
        }
        for text in [
            "", ">=", "0.97", "= 0.97", "=> 0.97", ">= nan", ">= inf", ">= 1e3", ">= 97%", ">= --1", ">= - 1", ">> 1",
            ">= 1.",
        ] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
    }

    #[test]
    fn nan_meets_no_bound() {
        for sign in Comparison::WORDS {
            let bound = Bound { comparison: sign.1, value: 0.5 };
            assert!(!bound.met_by(f64::NAN));
        }
        assert!(">= 0.5".parse::<Bound>().is_ok_and(|bound| bound.met_by(0.5)));
        assert!("> 0.5".parse::<Bound>().is_ok_and(|bound| !bound.met_by(0.5)));
        assert!("<= 0.5".parse::<Bound>().is_ok_and(|bound| bound.met_by(0.5)));
        assert!("< 0.5".parse::<Bound>().is_ok_and(|bound| !bound.met_by(0.5)));
    }
}
