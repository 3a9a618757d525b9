//! Pearson's chi-square.

use super::{Test, chi_square_survival};
use crate::{Error, Result};

/// Pearson's chi-square test (1900) that two samples of counts have the same distribution over the classes, without Yates' correction.
/// Classes that are empty in both are left out; with one class left the statistic is 0 and the p-value 1.
///
/// # Errors
/// When the samples have different numbers of classes, or one has no observation.
pub fn chi_square(first: &[u64], second: &[u64]) -> Result<Test> {
    let (sum, other) = totals(first, second)?;
    let all = sum + other;
    let mut statistic = 0.0;
    let mut classes = 0;
    for (&a, &b) in first.iter().zip(second).filter(|(a, b)| **a + **b > 0) {
        let (a, b) = (a as f64, b as f64);
        let expected = ((a + b) * sum / all, (a + b) * other / all);
        statistic += (a - expected.0).powi(2) / expected.0 + (b - expected.1).powi(2) / expected.1;
        classes += 1;
    }
    Ok(Test { statistic, p_value: chi_square_survival(statistic, classes - 1) })
}

/// The numbers of observations of both samples.
pub(super) fn totals(first: &[u64], second: &[u64]) -> Result<(f64, f64)> {
    if first.len() != second.len() {
        return Err(Error::Row { found: second.len(), expected: first.len() });
    }
    for (what, sample) in [("the first sample", first), ("the second sample", second)] {
        if sample.iter().sum::<u64>() == 0 {
            return Err(Error::TooFew { what: what.to_owned(), found: 0, needed: 1 });
        }
    }
    Ok((first.iter().sum::<u64>() as f64, second.iter().sum::<u64>() as f64))
}
