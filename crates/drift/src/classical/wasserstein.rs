//! Wasserstein's distance on a line.

use crate::{Error, Result};

/// Wasserstein's distance of order 1 between two samples: the area between their distribution functions, in the unit of the values.
/// There is no p-value without a model of the distribution.
///
/// # Errors
/// When a sample is empty or has a value that is not finite.
pub fn wasserstein(first: &[f64], second: &[f64]) -> Result<f64> {
    let (first, second) = (sorted("the first sample", first)?, sorted("the second sample", second)?);
    let (mut i, mut j) = (0, 0);
    let mut area = 0.0;
    let mut last = f64::min(first[0], second[0]);
    while i < first.len() || j < second.len() {
        let next = match (first.get(i), second.get(j)) {
            (Some(&a), Some(&b)) => a.min(b),
            (Some(&a), None) => a,
            (None, Some(&b)) => b,
            (None, None) => break,
        };
        let gap = (i as f64 / first.len() as f64 - j as f64 / second.len() as f64).abs();
        area += gap * (next - last);
        last = next;
        i += first[i..].iter().take_while(|&&value| value == next).count();
        j += second[j..].iter().take_while(|&&value| value == next).count();
    }
    Ok(area)
}

/// The values in order.
pub(super) fn sorted(what: &str, values: &[f64]) -> Result<Vec<f64>> {
    if values.is_empty() {
        return Err(Error::TooFew { what: what.to_owned(), found: 0, needed: 1 });
    }
    if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
        return Err(Error::Range { what: "a value", value, allowed: "finite" });
    }
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    Ok(values)
}
