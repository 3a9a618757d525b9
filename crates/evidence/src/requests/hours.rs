//! Which hours of the sample can be judged.

use slipway_samples::Hour;

/// So long after its end, in seconds, all that was written of an hour is there. A server writes when the hour ends, and tries again each minute if it cannot.
const SETTLES: i64 = 300;
/// The most hours that are looked back on: a week.
const MOST: i64 = 7 * 24;

/// The first and the last hour that can be judged at a time, in seconds since 1970.
pub(super) fn settled(now: i64) -> (Hour, Hour) {
    let last = Hour::of(now.saturating_sub(SETTLES).saturating_mul(1000)).after(-1);
    (last.after(1 - MOST), last)
}

/// When the hour after those can be judged, in seconds since 1970.
pub(super) fn next(now: i64) -> i64 {
    let (_, last) = settled(now);
    end(last.after(1)) + SETTLES
}

/// When an hour ends, in seconds since 1970.
pub(super) fn end(hour: Hour) -> i64 {
    hour.after(1).begin() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_judged_once_all_of_it_is_written() {
        let seven: Hour = "2026-11-30/07".parse().unwrap();
        let eight = end(seven);
        assert_eq!(eight, seven.begin() / 1000 + 3600);
        assert_eq!(settled(eight + 299).1, seven.after(-1));
        assert_eq!(settled(eight + 300), (seven.after(-167), seven));
        // and it is looked again just then
        assert_eq!(next(eight), eight + 300);
        assert_eq!(next(eight + 300), eight + 3900);
        assert_eq!(settled(next(eight + 3899)).1, seven.after(1));
    }
}
