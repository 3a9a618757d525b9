//! The time limit of a trial.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in whole seconds, written as hours, minutes and seconds: `30m`, `1h30m`, `90s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(u64);

/// Why a text is not a deadline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeadlineError {
    /// A number without a unit.
    #[error("`{0}` has no unit")]
    NoUnit(String),
    /// A unit other than h, m and s, or units out of order.
    #[error("`{0}` is not a duration")]
    Syntax(String),
    /// Zero, or more than 30 days.
    #[error("`{0}` is not between 1s and 720h")]
    Range(String),
}

impl Deadline {
    /// The longest deadline: 30 days.
    pub const MAX_SECONDS: u64 = 720 * 3600;

    /// One minute.
    pub(crate) const MINUTE: Self = Self(60);

    /// One day.
    pub(crate) const DAY: Self = Self(86_400);

    /// The duration in seconds.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Deadline {
    type Err = DeadlineError;

    fn from_str(text: &str) -> Result<Self, DeadlineError> {
        let syntax = || DeadlineError::Syntax(text.to_owned());
        let (mut total, mut rest, mut smallest) = (0_u64, text, u64::MAX);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number = &rest[..digits];
            let unit = rest[digits..].chars().next();
            let factor = match unit {
                Some('h') => 3600,
                Some('m') => 60,
                Some('s') => 1,
                None if digits > 0 => return Err(DeadlineError::NoUnit(text.to_owned())),
                _ => return Err(syntax()),
            };
            if digits == 0 || factor >= smallest {
                return Err(syntax());
            }
            let range = || DeadlineError::Range(text.to_owned());
            let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(range)?;
            total = total.checked_add(seconds).ok_or_else(range)?;
            smallest = factor;
            rest = &rest[digits + 1..];
        }
        if text.is_empty() {
            return Err(syntax());
        }
        if !(1..=Self::MAX_SECONDS).contains(&total) {
            return Err(DeadlineError::Range(text.to_owned()));
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.0 / 3600, 'h'), (self.0 / 60 % 60, 'm'), (self.0 % 60, 's')];
        parts.iter().filter(|(number, _)| *number > 0).try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl Serialize for Deadline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Deadline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Deadline {
    fn schema_name() -> Cow<'static, str> {
        "Deadline".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?$"})
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for (text, seconds, shown) in [
            ("30m", 1800, "30m"),
            ("1h30m", 5400, "1h30m"),
            ("90s", 90, "1m30s"),
            ("1h1s", 3601, "1h1s"),
            ("720h", 2_592_000, "720h"),
        ] {
            let deadline = text.parse::<Deadline>().unwrap();
            assert_eq!((deadline.seconds(), deadline.to_string().as_str()), (seconds, shown));
        }
    }

    #[test]
    fn refuses() {
        let no_unit = |text: &str| DeadlineError::NoUnit(text.to_owned());
        assert_eq!("30".parse::<Deadline>(), Err(no_unit("30")));
        for text in ["", "m", "1.5h", "30 m", "30min", "1m1h", "1h1h", "-5m", "5d", "ü"] {
            assert_eq!(text.parse::<Deadline>(), Err(DeadlineError::Syntax(text.to_owned())), "{text}");
        }
        for text in ["0s", "721h", "99999999999999999999h", "18446744073709551615h"] {
            assert_eq!(text.parse::<Deadline>(), Err(DeadlineError::Range(text.to_owned())));
        }
    }
}
