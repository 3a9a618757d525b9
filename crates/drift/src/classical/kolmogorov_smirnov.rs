//! The two-sample test of Kolmogorov and Smirnov.

use std::f64::consts::PI;

use super::Test;
use super::wasserstein::sorted;
use crate::Result;

/// How the p-value is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PValue {
    /// Over all orders of the pooled sample, as scipy's `ks_2samp(method="exact")`. Takes time in proportion to the product of the sizes.
    /// Where values are tied it is an upper bound.
    Exact,
    /// Kolmogorov's limit at sqrt(n m / (n + m)) D, as scipy's `kstwobign`.
    Limit,
}

/// The two-sided test of Kolmogorov and Smirnov that two samples have the same distribution: the statistic D is the largest difference of
/// their distribution functions.
///
/// # Errors
/// When a sample is empty or has a value that is not finite.
pub fn kolmogorov_smirnov(first: &[f64], second: &[f64], how: PValue) -> Result<Test> {
    let (first, second) = (sorted("the first sample", first)?, sorted("the second sample", second)?);
    let (n, m) = (first.len(), second.len());
    // in whole numbers, of 1 / (n m): rounding would move a path of the exact p-value over the edge
    let mut largest = 0;
    let (mut i, mut j) = (0, 0);
    while i < n && j < m {
        let next = first[i].min(second[j]);
        i += first[i..].iter().take_while(|&&value| value == next).count();
        j += second[j..].iter().take_while(|&&value| value == next).count();
        largest = largest.max((i * m).abs_diff(j * n));
    }
    let statistic = largest as f64 / (n * m) as f64;
    let p_value = match how {
        PValue::Exact => exact(n, m, largest),
        PValue::Limit => limit(statistic * (n as f64 * m as f64 / (n + m) as f64).sqrt()),
    };
    Ok(Test { statistic, p_value })
}

/// The probability that a random order of n and m values somewhere differs by `largest` / (n m). A walk over the lattice, where each step
/// has its probability; what leaves the band is summed. Nothing is subtracted, so small probabilities are as exact as large ones.
fn exact(n: usize, m: usize, largest: usize) -> f64 {
    if largest == 0 {
        return 1.0;
    }
    let outside = |i: usize, j: usize| (i * m).abs_diff(j * n) >= largest;
    // the probability of being at (i, j) without having left
    let mut row = vec![0.0; m + 1];
    row[0] = 1.0;
    let mut left = 0.0;
    for i in 0..=n {
        // the band of the row before, from which a path arrives, and of this one, with a place beyond
        let from = (i.saturating_sub(1) * m).saturating_sub(largest) / n;
        let to = ((i * m + largest) / n + 1).min(m);
        let mut arriving = 0.0;
        for (j, place) in row.iter_mut().enumerate().take(to + 1).skip(from) {
            let here = *place + arriving;
            arriving = 0.0;
            *place = 0.0;
            if here == 0.0 {
                continue;
            }
            if outside(i, j) {
                left += here;
                continue;
            }
            let remaining = (n - i + m - j) as f64;
            if i < n {
                *place = here * (n - i) as f64 / remaining;
            }
            if j < m {
                arriving = here * (m - j) as f64 / remaining;
            }
        }
    }
    left.min(1.0)
}

/// The survival function of Kolmogorov's distribution, by the series that converges faster.
fn limit(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x < 1.0 {
        let sum: f64 = (1..=20).map(|k| (-(f64::from(2 * k - 1) * PI / x).powi(2) / 8.0).exp()).sum();
        return 1.0 - (2.0 * PI).sqrt() / x * sum;
    }
    2.0 * (1..=20).map(|k| f64::from(1 - 2 * ((k + 1) % 2)) * (-2.0 * (f64::from(k) * x).powi(2)).exp()).sum::<f64>()
}
