//! A share of the requests.

use std::fmt;

/// A share of the requests, above 0 and up to 1, in steps of a millionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

/// The steps of a whole.
const WHOLE: u32 = 1_000_000;

impl Share {
    /// All requests.
    pub const ALL: Self = Self(WHOLE);

    /// A share of at least a thousandth; `None` for any other number.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        (0.001..=1.0).contains(&share).then(|| Self((share * f64::from(WHOLE)).round() as u32))
    }

    /// The share as a number.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }

    /// Whether a number belongs to it that is equally likely to be any of 64 bits, such as a hash. What belongs to a share also belongs to
    /// every larger one.
    #[must_use]
    pub fn has(self, hash: u64) -> bool {
        // the upper half times the steps, without rounding
        ((hash >> 32) * u64::from(WHOLE)) >> 32 < u64::from(self.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_share_is_refused() {
        for bad in [0.0, -0.1, 0.000_9, 1.000_001, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::new(bad), None, "{bad}");
        }
        for good in [0.001, 0.05, 0.333_333, 0.5, 1.0] {
            assert_eq!(Share::new(good).unwrap().to_string(), good.to_string());
        }
    }

    #[test]
    fn a_share_has_its_part_of_the_hashes() {
        let has = |share: f64| {
            let (share, step) = (Share::new(share).unwrap(), u64::MAX / 10_000);
            (0..10_000).filter(|at| share.has(at * step + step / 2)).count()
        };
        assert_eq!((has(0.001), has(0.05), has(0.5), has(1.0)), (10, 500, 5000, 10_000));
        assert!(Share::ALL.has(u64::MAX) && Share::new(0.001).unwrap().has(0));
    }
}
