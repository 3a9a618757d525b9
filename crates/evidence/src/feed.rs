//! Whether what lands is any good: of the newest objects, how many cannot be read.

use serde::Serialize;
use slipway_pipeline::Arrivals;

/// How many of the newest objects are looked at, and those of the same second as the first of them.
const NEWEST: usize = 100;
/// Of fewer nothing is said.
const FEWEST: usize = 20;

/// The newest objects of the landing prefixes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Feed {
    /// Objects.
    pub landed: usize,
    /// Those of them that cannot be read as an image with a label.
    pub aside: usize,
}

impl Feed {
    /// The newest of what a build has read.
    #[must_use]
    pub fn of(arrivals: &Arrivals) -> Self {
        let mut times: Vec<i64> = arrivals.images.iter().map(|image| image.at).collect();
        times.extend(&arrivals.aside);
        times.sort_unstable();
        let Some(since) = times.get(times.len().saturating_sub(NEWEST)).copied() else { return Self::default() };
        let landed = times.iter().filter(|at| **at >= since).count();
        let aside = arrivals.aside.iter().filter(|at| **at >= since).count();
        Self { landed, aside }
    }

    /// Whether more than half of them cannot be read, if there are at least 20.
    #[must_use]
    pub fn is_broken(self) -> bool {
        self.landed >= FEWEST && self.aside * 2 > self.landed
    }
}

#[cfg(test)]
mod tests {
    use slipway_digest::Digest;
    use slipway_pipeline::Arrival;

    use super::*;

    fn feed(images: &[i64], aside: &[i64]) -> Feed {
        let image = |at: &i64| Arrival { item: String::new(), at: *at, result: Digest::of("") };
        Feed::of(&Arrivals { images: images.iter().map(image).collect(), aside: aside.to_vec() })
    }

    #[test]
    fn what_counts_is_what_landed_last() {
        assert_eq!(feed(&[], &[]), Feed::default());
        let (many, few) = (vec![10; 5000], vec![20; 30]);
        // thirty bad ones after thousands of good ones, in whose second all count
        assert_eq!(feed(&many, &few), Feed { landed: 5030, aside: 30 });
        let one_a_second: Vec<i64> = (0..5000).collect();
        let found = feed(&one_a_second, &[5000; 60]);
        assert!(found.is_broken() && found == Feed { landed: 100, aside: 60 }, "{found:?}");
        // and good ones after them
        let since: Vec<i64> = (5001..5081).collect();
        assert!(!feed(&[one_a_second, since].concat(), &[5000; 60]).is_broken());
        assert!(!feed(&[], &[1; 19]).is_broken() && feed(&[], &[1; 20]).is_broken());
    }
}
