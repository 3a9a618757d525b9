//! Cutting what arrived into windows: by number and by time, so that who looks later cuts the same.

use std::ops::Range;
use std::time::Duration;

/// A window has at most so many observations.
pub const WINDOW: usize = 50;
/// A window lasts at most so long, in seconds. The first one stakes this time.
pub(crate) const LASTS: i64 = 3600;

/// Windows of observations that arrived at these times, in seconds since 1970, above 0 and in order, with the time that each stakes: from the
/// first observation of the one before to its own first one. `before` is that of the window before the first one, if there was one. What a window
/// stakes is known before any of its observations, and does not depend on what they say, as the promise asks. One that may still grow, because it
/// is neither full nor an hour old, is left out.
///
/// `now` is the time until which all that arrived is known. What has a later time waits: others of that time may be missing. So no window stakes more
/// than the time that has passed since the watch began, whatever a clock says.
pub(crate) fn windows(times: &[i64], before: Option<i64>, now: i64) -> Vec<(Range<usize>, Duration)> {
    let times = &times[..times.partition_point(|time| *time <= now)];
    let mut windows = Vec::new();
    let (mut begin, mut before) = (0, before);
    while let Some(&first) = times.get(begin) {
        let end = end(times, begin);
        let may_grow = end == times.len() && end - begin < WINDOW && now < first.saturating_add(LASTS);
        if may_grow {
            break;
        }
        let stakes = before.map_or(LASTS, |before| first.saturating_sub(before).max(0));
        windows.push((begin..end, Duration::from_secs(stakes.unsigned_abs())));
        (begin, before) = (end, Some(first));
    }
    windows
}

/// Where the newest windows begin that have together at most so many observations, and when the first observation of the window before arrived. They are
/// the windows that all observations would be cut into, and stake what they would stake then.
pub(crate) fn newest(times: &[i64], most: usize) -> (usize, Option<i64>) {
    let (mut begin, mut before) = (0, None);
    while times.len() - begin > most {
        before = times.get(begin).copied();
        begin = end(times, begin);
    }
    (begin, before)
}

/// Where the window ends that begins there.
fn end(times: &[i64], begin: usize) -> usize {
    let Some(&first) = times.get(begin) else { return begin };
    begin + times[begin..].iter().take(WINDOW).take_while(|time| **time < first.saturating_add(LASTS)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(times: &[i64], now: i64) -> Vec<(usize, u64)> {
        windows(times, None, now).into_iter().map(|(range, stakes)| (range.len(), stakes.as_secs())).collect()
    }

    #[test]
    fn a_window_ends_when_it_is_full_or_an_hour_old() {
        assert!(cut(&[], 0).is_empty());
        // 120 at once: two are full, the third may grow for an hour
        assert_eq!(cut(&[1000; 120], 1000), [(50, 3600), (50, 0)]);
        assert_eq!(cut(&[1000; 120], 4600), [(50, 3600), (50, 0), (20, 0)]);
        // a few each hour
        let slow: Vec<i64> = (1..13).map(|number| number * 1000).collect();
        assert_eq!(cut(&slow, 13_000), [(4, 3600), (4, 4000), (4, 4000)]);
        assert_eq!(cut(&slow, 12_500), [(4, 3600), (4, 4000)]);
    }

    #[test]
    fn what_has_a_time_that_has_not_come_waits() {
        // the clock of the store is a year ahead, and nobody may stake a year
        let times = [[1000; 50], [40_000_000; 50]].concat();
        assert_eq!(cut(&times, 2000), [(50, 3600)]);
        // of a full window some may be missing
        let times = [[1000; 49], [1001; 49]].concat();
        assert!(cut(&times, 1000).is_empty());
        assert_eq!(cut(&times, 1001), [(50, 3600)]);
    }

    #[test]
    fn who_looks_later_cuts_the_same() {
        let times: Vec<i64> = (1..501).map(|number| number * number).collect();
        let last = windows(&times, None, i64::MAX);
        for seen in 0..500 {
            let now = times[seen];
            let early = windows(&times[..=seen], None, now);
            assert_eq!(early, last[..early.len()], "{seen}");
        }
    }

    #[test]
    fn the_newest_windows_are_those_of_all() {
        let times: Vec<i64> = (1..501).map(|number| number * number).collect();
        let all = windows(&times, None, i64::MAX);
        for most in [0, 1, 49, 50, 120, 333, 500, 1000] {
            let (begin, before) = newest(&times, most);
            assert!(times.len() - begin <= most, "{most}");
            let own = windows(&times[begin..], before, i64::MAX);
            let moved: Vec<_> =
                own.into_iter().map(|(range, stakes)| (range.start + begin..range.end + begin, stakes)).collect();
            assert_eq!(moved, all[all.len() - moved.len()..], "{most}");
        }
    }
}
