//! How much more often one of two is right, from pairs that are looked at once.

/// The standard normal quantile of 0.975.
const QUANTILE: f64 = 1.959_963_984_540_054;

/// Tango's score interval (1998) for how much more often one of two is right, as a share of `of` pairs, each end between -1 and 1. It holds the true
/// difference with a probability of about 95 %, and each end is on the wrong side with about 2.5 %. On `wins` of the pairs the first one alone is right, on
/// `losses` the second one alone.
///
/// Unlike [`crate::Paired::difference`] it is for who looks once, and so it is narrower. It is of use where few pairs or none differ, where an interval by
/// the normal approximation has no width.
#[must_use]
pub fn paired_difference(wins: u64, losses: u64, of: u64) -> (f64, f64) {
    let (wins, losses, of) = (wins as f64, losses as f64, of as f64);
    (lowest(wins, losses, of), -lowest(losses, wins, of))
}

/// The lower end.
fn lowest(wins: f64, losses: f64, of: f64) -> f64 {
    let (mut refused, mut possible) = (-1.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (refused + possible);
        // the score falls as the difference grows
        if score(wins, losses, of, middle) >= QUANTILE {
            refused = middle;
        } else {
            possible = middle;
        }
    }
    refused
}

/// How far what was seen is above this difference, in standard deviations under it. NaN without pairs.
fn score(wins: f64, losses: f64, of: f64, difference: f64) -> f64 {
    // the most probable share of losses under the difference is the larger root of a quadratic equation
    let b = (2.0 * of - wins + losses) * difference - wins - losses;
    let c = -losses * difference * (1.0 - difference);
    let losing = ((b * b - 8.0 * of * c).max(0.0).sqrt() - b) / (4.0 * of);
    let variance = of * (2.0 * losing + difference * (1.0 - difference));
    (wins - losses - of * difference) / variance.max(0.0).sqrt()
}
