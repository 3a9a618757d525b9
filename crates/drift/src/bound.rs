//! How probable an event can be, given how often it was seen: an exact upper confidence bound.

use statrs::function::gamma::ln_gamma;

/// Clopper and Pearson's upper bound (1934): the probability p at which `hits` or fewer of `trials` independent observations have
/// probability `risk`. The true probability is above it with probability at most `risk`, whatever it is.
///
/// The same number bounds the probability of falling below the `hits + 1`-th smallest of `trials` independent values, for any
/// distribution, ties included: that probability is at most a beta variable with these parameters.
#[must_use]
pub fn upper_bound(hits: usize, trials: usize, risk: f64) -> f64 {
    if hits >= trials {
        return 1.0;
    }
    let (a, b) = (hits as f64 + 1.0, (trials - hits) as f64);
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    // Bisection to the last digit; the upper end is returned, so rounding errs on the safe side.
    while high - low > 1e-15 * high {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if beta_survival(a, b, middle) > risk {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// P(X > x) for X of the beta distribution, by the continued fraction of the incomplete beta function (DLMF 8.17.22), with Lentz's
/// algorithm. It runs until it has converged: the number of steps grows as the root of the larger parameter.
fn beta_survival(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x >= 1.0 {
        return 0.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) { tail(b, a, 1.0 - x) } else { 1.0 - tail(a, b, x) }
}

/// The incomplete beta function I(x; a, b) for x below about a / (a + b), where the fraction converges fast.
fn tail(a: f64, b: f64, x: f64) -> f64 {
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    let tiny = 1e-300;
    let guard = |value: f64| if value.abs() < tiny { tiny } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    let mut m = 0.0;
    loop {
        m += 1.0;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        fraction *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() < 1e-15 || m > 1e6 {
            return front * fraction;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P(at most `hits` of `trials`), summed term by term.
    fn binomial_cdf(hits: usize, trials: usize, p: f64) -> f64 {
        let mut term = (1.0 - p).powi(trials as i32);
        let mut sum = term;
        for k in 1..=hits {
            term *= (trials - k + 1) as f64 / k as f64 * p / (1.0 - p);
            sum += term;
        }
        sum
    }

    #[test]
    fn at_the_bound_so_few_hits_have_the_risk() {
        for (hits, trials) in [(0, 1), (0, 20), (3, 20), (19, 20), (10, 500), (250, 500)] {
            for risk in [0.05, 1e-3, 1e-6] {
                let bound = upper_bound(hits, trials, risk);
                let error = binomial_cdf(hits, trials, bound) / risk - 1.0;
                assert!(error.abs() < 1e-8, "{hits} of {trials} at {risk}: {error}");
            }
        }
        assert!((upper_bound(0, 100, 0.05) - (1.0 - 0.05_f64.powf(0.01))).abs() < 1e-14);
        assert!((upper_bound(499, 500, 0.05) - 0.95_f64.powf(0.002)).abs() < 1e-14);
        assert_eq!(upper_bound(7, 7, 0.05), 1.0);
    }

    #[test]
    fn a_million_observations_are_as_exact() {
        let bound = upper_bound(100_000, 1_000_000, 1e-6);
        // 4.753424 standard errors, and the skewness of the binomial distribution
        assert!((0.101_42..0.101_44).contains(&bound), "{bound}");
    }
}
