//! Cutting what arrived into windows: by number and by time, so that who looks later cuts the same.

use std::ops::Range;
use std::time::Duration;

/// A window has at most so many observations.
pub const WINDOW: usize = 50;
/// A window lasts at most so long, in seconds. The first one stakes this time.
const LASTS: i64 = 3600;

/// Windows of observations that arrived at these times, in seconds since 1970 and in order, with the time that each stakes: from the first
/// observation of the one before to its own first one. What a window stakes is known before any of its observations, and does not depend on
/// what they say, as the promise asks. One that may still grow, because it is neither full nor an hour old, is left out.
pub(crate) fn windows(times: &[i64], now: i64) -> Vec<(Range<usize>, Duration)> {
    let mut windows = Vec::new();
    let (mut begin, mut before) = (0, None);
    while let Some(&first) = times.get(begin) {
        let within = times[begin..].iter().take(WINDOW).take_while(|time| **time < first.saturating_add(LASTS)).count();
        let end = begin + within;
        let may_grow = end == times.len() && within < WINDOW && now < first.saturating_add(LASTS);
        if may_grow {
            break;
        }
        let stakes = before.map_or(LASTS, |before: i64| first.saturating_sub(before));
        windows.push((begin..end, Duration::from_secs(stakes.max(0).unsigned_abs())));
        (begin, before) = (end, Some(first));
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(times: &[i64], now: i64) -> Vec<(usize, u64)> {
        windows(times, now).into_iter().map(|(range, stakes)| (range.len(), stakes.as_secs())).collect()
    }

    #[test]
    fn a_window_ends_when_it_is_full_or_an_hour_old() {
        assert!(cut(&[], 0).is_empty());
        // 120 at once: two are full, the third may grow for an hour
        assert_eq!(cut(&[1000; 120], 1000), [(50, 3600), (50, 0)]);
        assert_eq!(cut(&[1000; 120], 4600), [(50, 3600), (50, 0), (20, 0)]);
        // a few each hour
        let slow: Vec<i64> = (0..12).map(|number| number * 1000).collect();
        assert_eq!(cut(&slow, 12_000), [(4, 3600), (4, 4000), (4, 4000)]);
        assert_eq!(cut(&slow, 11_500), [(4, 3600), (4, 4000)]);
    }

    #[test]
    fn who_looks_later_cuts_the_same() {
        let times: Vec<i64> = (0..500).map(|number| number * number).collect();
        let last = windows(&times, i64::MAX);
        for seen in 0..500 {
            let now = times[seen];
            let early = windows(&times[..=seen], now);
            assert_eq!(early, last[..early.len()], "{seen}");
        }
    }
}
