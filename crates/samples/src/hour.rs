//! Hours of UTC, as the names of files have them.

use std::fmt;
use std::str::FromStr;

const MS: i64 = 3_600_000;

/// An hour of UTC. Written `2026-11-30/07`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(i64);

impl Hour {
    /// The hour of a time in milliseconds since 1970.
    #[must_use]
    pub fn of(time: i64) -> Self {
        Self(time.div_euclid(MS))
    }

    /// When it begins, in milliseconds since 1970.
    #[must_use]
    pub fn begin(self) -> i64 {
        self.0 * MS
    }

    /// The hour that many hours later.
    #[must_use]
    pub fn after(self, hours: i64) -> Self {
        Self(self.0.saturating_add(hours))
    }

    /// Its day, such as `2026-11-30`.
    #[must_use]
    pub fn day(self) -> String {
        let (year, month, day) = date(self.0.div_euclid(24));
        format!("{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:02}", self.day(), self.0.rem_euclid(24))
    }
}

impl FromStr for Hour {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (date, hour) = text.split_once('/').ok_or(())?;
        let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().map_err(|_| ()));
        let mut next = || parts.next().ok_or(())?;
        let (year, month, day) = (next()?, next()?, next()?);
        let hour: i64 = hour.parse().map_err(|_| ())?;
        let is_near = (1970..=9999).contains(&year) && (0..24).contains(&hour);
        if !is_near || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(());
        }
        let found = Self(days(year, month, day) * 24 + hour);
        // one way to write each hour: no day that a month does not have, and no digit more or fewer
        if found.to_string() == text { Ok(found) } else { Err(()) }
    }
}

/// The date of a day since 1970 in the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // months from March
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day since 1970 of a date (the same source, `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hours_are_written_as_the_calendar_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01/00"),
            (951_782_400, "2000-02-29/00"),
            (951_868_800, "2000-03-01/00"),
            (1_709_254_799, "2024-03-01/00"),
            (1_764_486_000, "2025-11-30/07"),
            (4_107_542_399, "2100-02-28/23"),
            (4_107_542_400, "2100-03-01/00"),
        ] {
            assert_eq!(Hour::of(seconds * 1000).to_string(), text);
        }
        assert_eq!(Hour::of(3_599_999).after(1).begin(), 3_600_000);
    }

    #[test]
    fn what_is_no_hour_is_refused() {
        for bad in [
            "",
            "2026-11-30",
            "2026-11-30/24",
            "2026-11-30/7",
            "2026-02-29/00",
            "2026-13-01/00",
            "26-11-30/07",
            "2026-11-30/-1",
            "2026-11-30/9223372036854775807",
            "2026-11-30/07/",
            "+2026-11-30/07",
            "99999999999999999999-01-01/00",
        ] {
            assert_eq!(bad.parse::<Hour>(), Err(()), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn hours_are_read_back(hour in 0_i64..70_000_000) {
            prop_assert_eq!(Hour(hour).to_string().parse(), Ok(Hour(hour)));
        }
    }
}
