//! `once in 5 years`: how rarely a false alarm may come.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

const HOUR: u64 = 3600;
/// Longest units first. A year has 365.25 days, a month a twelfth of that.
const UNITS: [(&str, u64); 5] =
    [("year", 8766 * HOUR), ("month", 730 * HOUR + HOUR / 2), ("week", 168 * HOUR), ("day", 24 * HOUR), ("hour", HOUR)];

/// At most one false alarm in this time: the chance of one within a time t is at most t divided by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    period: Duration,
}

impl Promise {
    /// Once in a period.
    ///
    /// # Errors
    /// When the period is zero.
    pub fn once_in(period: Duration) -> Result<Self> {
        if period.is_zero() {
            return Err(Error::Range { what: "the time between false alarms", value: 0.0, allowed: "positive" });
        }
        Ok(Self { period })
    }

    /// The period.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What the bets may stake for a time that has passed: its share of the period.
    #[must_use]
    pub fn stake(&self, elapsed: Duration) -> f64 {
        elapsed.as_secs_f64() / self.period.as_secs_f64()
    }
}

impl FromStr for Promise {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::Promise(text.chars().take(100).collect());
        let rest = text.trim().strip_prefix("once in ").ok_or_else(refuse)?;
        let (number, unit) = rest.trim().split_once(' ').ok_or_else(refuse)?;
        let number: u32 = match number {
            "a" | "an" => 1,
            digits => digits.parse().map_err(|_| refuse())?,
        };
        let unit = unit.trim();
        let seconds = UNITS
            .iter()
            .find(|(name, _)| unit == *name || unit.strip_suffix('s') == Some(name))
            .map(|(_, seconds)| *seconds)
            .ok_or_else(refuse)?;
        Self::once_in(Duration::from_secs(u64::from(number) * seconds)).map_err(|_| refuse())
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.period.as_secs();
        match UNITS.iter().find(|(_, unit)| seconds >= *unit && seconds.is_multiple_of(*unit)) {
            Some((name, unit)) if seconds == *unit => write!(f, "once in 1 {name}"),
            Some((name, unit)) => write!(f, "once in {} {name}s", seconds / unit),
            None => write!(f, "once in {seconds} seconds"),
        }
    }
}

impl Serialize for Promise {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Promise {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_read_as_it_is_written() {
        for text in ["once in 5 years", "once in 1 hour", "once in 18 months", "once in 90 days", "once in 2 weeks"] {
            assert_eq!(text.parse::<Promise>().unwrap().to_string(), text);
        }
        assert_eq!("once in a year".parse::<Promise>().unwrap().period(), Duration::from_secs(31_557_600));
        for text in
            ["", "twice in 5 years", "once in 0 years", "once in five years", "once in 5 ages", "once in -1 years"]
        {
            assert!(text.parse::<Promise>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_stake_of_an_hour_is_its_share_of_the_period() {
        let promise: Promise = "once in 5 years".parse().unwrap();
        assert!((promise.stake(Duration::from_secs(3600)) - 1.0 / 43_830.0).abs() < 1e-18);
    }
}
