//! The population stability index.

use super::chi_square::totals;
use super::{Test, chi_square_survival};
use crate::Result;

/// The population stability index of two samples of counts: the sum over the bins of (p - q) ln(p / q), where a share is
/// (count + 1/2) / (total + bins / 2), so that an empty bin has one. Bins that are empty in both are left out. People read 0.1 as some
/// change and 0.25 as much; what it reaches by chance depends on the sizes: without change, index / (1/n + 1/m) is about chi-square with
/// one degree of freedom less than bins (Yurdakul and Naranjo 2020), and the p-value says so.
///
/// # Errors
/// When the samples have different numbers of bins, or one has no observation.
pub fn stability_index(first: &[u64], second: &[u64]) -> Result<Test> {
    let (sum, other) = totals(first, second)?;
    let used: Vec<(f64, f64)> =
        first.iter().zip(second).filter(|(a, b)| **a + **b > 0).map(|(&a, &b)| (a as f64, b as f64)).collect();
    let half = used.len() as f64 / 2.0;
    let statistic = used
        .iter()
        .map(|(a, b)| {
            let (p, q) = ((a + 0.5) / (sum + half), (b + 0.5) / (other + half));
            (p - q) * (p / q).ln()
        })
        .sum::<f64>();
    Ok(Test { statistic, p_value: chi_square_survival(statistic / (1.0 / sum + 1.0 / other), used.len() - 1) })
}
