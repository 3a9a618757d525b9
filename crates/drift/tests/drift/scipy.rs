//! The statistics are scipy's, on a thousand random cases: one process of Python computes them all. Needs SLIPWAY_PYTHON.

use std::io::Write as _;
use std::process::{Command, Stdio};

use fastrand::Rng;
use serde_json::{Value, json};
use slipway_drift::classical::{PValue, chi_square, kolmogorov_smirnov, stability_index, wasserstein};

/// The formulas that scipy lacks are written out in numpy.
const SCIPY: &str = r#"
import json, sys, warnings
import numpy as np
from scipy import special, stats
warnings.simplefilter("error")  # the exact p-value must not fall back to an approximation
out = []
for case in json.load(sys.stdin):
    if "counts" in case:
        a, b = (np.array(side, dtype=float) for side in case["counts"])
        used = a + b > 0
        a, b = a[used], b[used]
        if len(a) > 1:
            chi = stats.chi2_contingency(np.array([a, b]), correction=False)
            chi = [float(chi.statistic), float(chi.pvalue)]
        else:
            chi = [0.0, 1.0]
        p, q = (a + 0.5) / (a.sum() + len(a) / 2), (b + 0.5) / (b.sum() + len(b) / 2)
        psi = float(np.sum((p - q) * np.log(p / q)))
        tail = float(stats.chi2.sf(psi / (1 / a.sum() + 1 / b.sum()), len(a) - 1)) if len(a) > 1 else 1.0
        out.append(chi + [psi, tail])
    else:
        x, y = (np.array(side) for side in case["values"])
        exact = stats.ks_2samp(x, y, method="exact")
        effective = np.sqrt(len(x) * len(y) / (len(x) + len(y)))
        limit = float(special.kolmogorov(effective * exact.statistic))
        out.append([float(exact.statistic), float(exact.pvalue), limit, float(stats.wasserstein_distance(x, y))])
json.dump(out, sys.stdout)
"#;

fn scipy(cases: &[Value]) -> Vec<Vec<f64>> {
    let python =
        std::env::var_os("SLIPWAY_PYTHON").expect("SLIPWAY_PYTHON names a Python with scipy: `make test` sets it");
    let mut child =
        Command::new(python).args(["-c", SCIPY]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = serde_json::to_vec(cases).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Counts of two samples: often with empty classes, sometimes with a single one.
fn counts(random: &mut Rng) -> (Vec<u64>, Vec<u64>) {
    let classes = random.usize(1..=30);
    let scale = [2, 20, 2000, 200_000][random.usize(0..4)];
    let mut sample = || {
        let mut counts: Vec<u64> =
            (0..classes).map(|_| if random.f64() < 0.25 { 0 } else { random.u64(0..scale) }).collect();
        // a sample has an observation
        let class = random.usize(0..classes);
        counts[class] += 1;
        counts
    };
    (sample(), sample())
}

/// Values of two samples: from one value to some hundred, with or without ties, sometimes constant, sometimes far apart.
fn values(random: &mut Rng) -> (Vec<f64>, Vec<f64>) {
    let largest = [3, 30, 300][random.usize(0..3)];
    let steps = [1.0, 4.0, 50.0, 0.0][random.usize(0..4)];
    let shift = [0.0, 0.1, 1.0, 3.0][random.usize(0..4)];
    let mut sample = |shift: f64| -> Vec<f64> {
        (0..random.usize(1..=largest))
            .map(|_| {
                let value = random.f64() + random.f64() + shift;
                // one value, few, many, or all different
                if steps == 1.0 {
                    1.0
                } else if steps > 0.0 {
                    (value * steps).floor() / steps
                } else {
                    value
                }
            })
            .collect()
    };
    (sample(0.0), sample(shift))
}

/// Within 1e-9, absolute for small numbers and relative for large ones.
fn same(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0)
}

#[test]
fn a_thousand_cases_agree_with_scipy_to_1e_9() {
    let mut random = Rng::with_seed(18);
    let tables: Vec<_> = (0..500).map(|_| counts(&mut random)).collect();
    let samples: Vec<_> = (0..500).map(|_| values(&mut random)).collect();
    let cases: Vec<Value> = tables
        .iter()
        .map(|(a, b)| json!({"counts": [a, b]}))
        .chain(samples.iter().map(|(x, y)| json!({"values": [x, y]})))
        .collect();
    let theirs = scipy(&cases);
    assert_eq!(theirs.len(), 1000);
    for ((a, b), theirs) in tables.iter().zip(&theirs) {
        let (chi, psi) = (chi_square(a, b).unwrap(), stability_index(a, b).unwrap());
        for (ours, theirs) in [chi.statistic, chi.p_value, psi.statistic, psi.p_value].into_iter().zip(theirs) {
            assert!(same(ours, *theirs), "{ours} is not {theirs}: {a:?} {b:?}");
        }
    }
    for ((x, y), theirs) in samples.iter().zip(&theirs[500..]) {
        let exact = kolmogorov_smirnov(x, y, PValue::Exact).unwrap();
        let limit = kolmogorov_smirnov(x, y, PValue::Limit).unwrap();
        let ours = [exact.statistic, exact.p_value, limit.p_value, wasserstein(x, y).unwrap()];
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            assert!(same(ours, *theirs), "{ours} is not {theirs}: {x:?} {y:?}");
        }
    }
}

#[test]
fn small_probabilities_are_exact_too() {
    // two samples of 100 without overlap: the first n values of 2 n are all of one sample, or all of the other
    let low: Vec<f64> = (0..100).map(f64::from).collect();
    let high: Vec<f64> = (100..200).map(f64::from).collect();
    let ways = (1..=100).map(|k| f64::from(100 + k) / f64::from(k)).product::<f64>();
    let test = kolmogorov_smirnov(&low, &high, PValue::Exact).unwrap();
    assert!((test.p_value * ways / 2.0 - 1.0).abs() < 1e-9, "{}", test.p_value);
    assert_eq!(test.statistic, 1.0);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    assert!(chi_square(&[1, 2], &[1]).is_err());
    assert!(chi_square(&[0, 0], &[1, 2]).is_err());
    assert!(stability_index(&[3], &[]).is_err());
    assert!(wasserstein(&[], &[1.0]).is_err());
    assert!(kolmogorov_smirnov(&[1.0], &[f64::NAN], PValue::Exact).is_err());
}
