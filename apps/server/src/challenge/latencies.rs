//! How long the last answers took.

use std::time::Duration;

/// How many are kept.
const KEPT: usize = 1024;

/// The last durations.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    kept: Vec<Duration>,
    next: usize,
}

impl Latencies {
    pub(super) fn add(&mut self, took: Duration) {
        if self.kept.len() < KEPT {
            self.kept.push(took);
        } else {
            self.kept[self.next] = took;
            self.next = (self.next + 1) % KEPT;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The durations that these shares of the answers did not take longer than; `None` if there are none.
    pub(super) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[Duration; N]> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        Some(shares.map(|share| sorted[((share * sorted.len() as f64).ceil() as usize).saturating_sub(1).min(last)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_last_answers() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantiles([0.5]), None);
        let ms = Duration::from_millis;
        for took in 0..2000 {
            latencies.add(ms(took));
        }
        // 976 to 1999
        assert_eq!(latencies.quantiles([0.0, 0.5, 0.99, 1.0]), Some([ms(976), ms(1487), ms(1989), ms(1999)]));
        assert_eq!(latencies.len(), 1024);
    }
}
