//! The estimated accuracy: right when the calibration holds, with an error that says how far it can be off.

use fastrand::Rng;
use slipway_drift::{Calibration, Example, Outlook};

/// Scores, and answers that are right as often as a known function of them says.
fn answers(random: &mut Rng, number: usize, shift: f64) -> (Vec<[f64; 2]>, Vec<bool>, f64) {
    let mut expected = 0.0;
    let (scores, right) = (0..number)
        .map(|_| {
            let scores = [100.0 + 20.0 * (random.f64() - shift), random.f64()];
            let probability = 1.0 / (1.0 + (-(0.2 * (scores[0] - 100.0) + 2.0 * scores[1])).exp());
            expected += probability / number as f64;
            (scores, random.f64() < probability)
        })
        .unzip();
    (scores, right, expected)
}

#[test]
fn the_estimate_follows_a_shift_and_its_error_is_honest() {
    let mut random = Rng::with_seed(14);
    let mut outside = 0;
    for _ in 0..200 {
        let (scores, right, _) = answers(&mut random, 1000, 0.2);
        let calibration = Calibration::fit(&scores, &right, &[]).unwrap();
        let (shifted, right, expected) = answers(&mut random, 300, 0.6);
        let estimate = calibration.estimate(&shifted).unwrap();
        assert!((estimate.accuracy - expected).abs() < 0.12, "{estimate:?} {expected}");
        let (low, high) = estimate.interval();
        let truth = right.iter().filter(|right| **right).count() as f64 / 300.0;
        outside += usize::from(!(low..=high).contains(&truth));
    }
    // two standard errors: one of twenty
    assert!((2..=20).contains(&outside), "{outside} of 200");
}

#[test]
fn answers_that_can_be_told_apart_or_are_all_right_have_a_calibration() {
    let scores: Vec<[f64; 1]> = (0..100).map(|index| [f64::from(index)]).collect();
    let apart: Vec<bool> = (0..100).map(|index| index >= 50).collect();
    let calibration = Calibration::fit(&scores, &apart, &[]).unwrap();
    assert!(calibration.probability(&[0.0]).unwrap() < 0.01 && calibration.probability(&[99.0]).unwrap() > 0.99);
    let all = Calibration::fit(&scores, &[true; 100], &[]).unwrap();
    assert!(all.estimate(&scores).unwrap().accuracy > 0.99);
    let kept: Calibration = serde_json::from_str(&serde_json::to_string(&all).unwrap()).unwrap();
    assert!(kept.probability(&[3.0]).unwrap() > 0.99);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(Calibration::fit(&[[1.0], [2.0]], &[true, false], &[]).is_err());
    assert!(Calibration::fit(&[[1.0], [2.0], [f64::NAN]], &[true, false, true], &[]).is_err());
    let fine = Calibration::fit(&[[1.0], [2.0], [3.0]], &[true, false, true], &[]).unwrap();
    assert!(fine.probability(&[]).is_err());
    assert!(fine.estimate(&Vec::<[f64; 1]>::new()).is_err());
}

/// Answers with a drift: the network is as sure of itself as before, is right less often, and a second score shows it.
fn drifted(random: &mut Rng, number: usize, drift: f64) -> (Vec<Vec<f64>>, Vec<bool>) {
    (0..number)
        .map(|_| {
            let sure = 2.0 + 2.0 * random.f64();
            let strange = random.f64() + drift;
            let probability = 1.0 / (1.0 + (-(sure - 2.0 * drift)).exp());
            (vec![sure, strange], random.f64() < probability)
        })
        .unzip()
}

#[test]
fn examples_of_drift_teach_what_a_calibration_cannot_know() {
    let mut random = Rng::with_seed(15);
    let (scores, right) = drifted(&mut random, 2000, 0.0);
    let windows: Vec<_> = [0.3, 0.6, 1.0, 1.5, 2.0].map(|drift| drifted(&mut random, 500, drift)).into();
    let kinds = ["a", "b", "c", "d", "e"];
    let examples: Vec<Example<'_>> =
        kinds.iter().zip(&windows).map(|(kind, (scores, right))| Example { kind, scores, right }).collect();
    let outlook = Outlook::fit(&scores, &right, &examples).unwrap();
    let calibration = Calibration::fit(&scores, &right, &[]).unwrap();
    let (window, right) = drifted(&mut random, 1000, 1.2);
    let truth = right.iter().filter(|right| **right).count() as f64 / 1000.0;
    let (seen, unseen) = (outlook.estimate(&window).unwrap(), calibration.estimate(&window).unwrap());
    assert!((seen.accuracy - truth).abs() < 0.05, "{seen:?} {truth}");
    assert!((unseen.accuracy - truth).abs() > 0.1, "{unseen:?} {truth}");
    let (low, high) = seen.interval();
    assert!(low < truth && truth < high);
    assert!(Outlook::fit(&window, &right, &examples[..2]).is_err());
}
