//! The interval of a paired difference: its closed form, the normal approximation, and how often it is wrong.

use fastrand::Rng;
use slipway_drift::paired_difference;

#[test]
fn where_nothing_differs_the_interval_has_a_closed_form() {
    let square = 1.959_963_984_540_054_f64.powi(2);
    for of in [10_u64, 200, 5000] {
        let expected = square / (of as f64 + square);
        let (low, high) = paired_difference(0, 0, of);
        assert!((low + expected).abs() < 1e-9 && (high - expected).abs() < 1e-9, "{of}: {low} {high}");
    }
    let (low, high) = paired_difference(0, 0, 0);
    assert!(low <= -1.0 + 1e-9 && high >= 1.0 - 1e-9, "{low} {high}");
}

#[test]
fn of_many_pairs_it_is_that_of_the_normal_approximation() {
    // Agresti, Categorical Data Analysis, approval of a prime minister: 150 and 86 of 1600
    let (low, high) = paired_difference(150, 86, 1600);
    let error = (236.0_f64 - 64.0 * 64.0 / 1600.0).sqrt() / 1600.0;
    assert!((low - (0.04 - 1.96 * error)).abs() < 1e-3 && (high - (0.04 + 1.96 * error)).abs() < 1e-3, "{low} {high}");
    let (other, another) = paired_difference(86, 150, 1600);
    assert!((other + high).abs() < 1e-9 && (another + low).abs() < 1e-9);
}

#[test]
fn each_end_is_on_the_wrong_side_in_a_fortieth_of_all_cases() {
    let mut random = Rng::with_seed(13);
    let runs = 2000;
    let mut wrong = [0, 0];
    for _ in 0..runs {
        let (mut wins, mut losses) = (0, 0);
        for _ in 0..600 {
            let uniform = random.f64();
            wins += u64::from(uniform < 0.01);
            losses += u64::from((0.01..0.04).contains(&uniform));
        }
        let (low, high) = paired_difference(wins, losses, 600);
        wrong[0] += u32::from(low > -0.02);
        wrong[1] += u32::from(high < -0.02);
    }
    // 2.5 %, and what chance and small counts add
    assert!(wrong.iter().all(|wrong| *wrong <= runs / 20), "{wrong:?} of {runs}");
}
