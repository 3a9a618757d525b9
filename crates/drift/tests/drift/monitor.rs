//! A classifier that is watched: no alarm while nothing changes, an alarm that names what did.

use std::time::Duration;

use fastrand::Rng;
use slipway_drift::{Answer, Classifier, Distance, Monitor, NoDrift, Promise, Reference, Region, Stream, picture};

const HOUR: Duration = Duration::from_secs(3600);

fn normal(random: &mut Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

/// A class, a number that is tied at 0 in half of the rows, and a number that is often missing.
fn rows(random: &mut Rng, number: usize, shift: f64) -> Vec<Vec<f64>> {
    (0..number)
        .map(|_| {
            let missing = random.bool();
            let value = normal(random);
            vec![random.usize(0..4) as f64, value.max(0.0), if missing { f64::NAN } else { normal(random) + shift }]
        })
        .collect()
}

fn streams() -> Vec<Stream> {
    vec![Stream::classes("predicted", 4, 2.0), Stream::numbers("ink", 1.0), Stream::numbers("sometimes", 1.0)]
}

fn monitor(random: &mut Rng, class: NoDrift) -> Monitor {
    let reference = Reference::new(&streams(), &rows(random, 3000, 0.0), 1e-3).unwrap();
    Monitor::new(reference, class, "once in 5 years".parse::<Promise>().unwrap()).unwrap()
}

#[test]
fn nothing_is_said_about_what_is_usual_and_a_change_is_named() {
    for class in [NoDrift::default(), NoDrift { dispersion: 1.0, stray: 0.01, ..NoDrift::default() }] {
        let mut random = Rng::with_seed(5);
        let monitor = monitor(&mut random, class);
        let mut state = monitor.start();
        for _ in 0..300 {
            let verdict = monitor.observe(&mut state, &rows(&mut random, 60, 0.0), HOUR).unwrap();
            assert!(!verdict.alarm, "{verdict:?}");
        }
        let verdict = (0..10)
            .map(|_| monitor.observe(&mut state, &rows(&mut random, 60, 2.5), HOUR).unwrap())
            .find(|verdict| verdict.alarm)
            .expect("a shift of 2.5 deviations is noticed");
        let first = &verdict.streams[0];
        assert_eq!(first.stream, "sometimes");
        assert!(first.share > 0.99 && matches!(first.region, Region::Above(_)), "{first:?}");
        assert!(first.seen.unwrap() > first.bound && first.bound > first.usual);
        let json = serde_json::to_value(&verdict).unwrap();
        assert!(json["alarm"].as_bool().unwrap() && json["total"].as_f64().unwrap() >= 1.0);
    }
}

#[test]
fn the_reference_is_small_and_can_be_kept() {
    let mut random = Rng::with_seed(6);
    let all = rows(&mut random, 20_000, 0.0);
    let reference = Reference::new(&streams(), &all, 1e-3).unwrap();
    assert_eq!(reference, Reference::new(&streams(), &all, 1e-3).unwrap());
    let json = serde_json::to_string(&reference).unwrap();
    assert!(json.len() < 120_000, "{}", json.len());
    let kept: Reference = serde_json::from_str(&json).unwrap();
    assert_eq!(kept.streams[0].counts, reference.streams[0].counts);
    assert_eq!(kept.streams[1].sample.len(), 2000);
    // about half of the ink is 0, so nothing is below its lowest tenth: that region can only become more frequent
    let below = reference.streams[1].watched.iter().filter(|watched| matches!(watched.region, Region::Below(_)));
    assert!(below.into_iter().all(|watched| watched.share == 0.0));
    for watched in reference.streams.iter().flat_map(|summary| &summary.watched) {
        assert!(watched.bound > watched.share, "{watched:?}");
    }
}

#[test]
fn bounds_hold_for_as_many_references_as_they_should() {
    // a risk of a half makes failures visible: at least half of the references have all bounds right
    let mut random = Rng::with_seed(7);
    let stream = [Stream::numbers("uniform", 1.0)];
    let runs = 400;
    let wrong = (0..runs)
        .filter(|_| {
            let values: Vec<[f64; 1]> = (0..200).map(|_| [random.f64()]).collect();
            let reference = Reference::new(&stream, &values, 0.5).unwrap();
            reference.streams[0].watched.iter().any(|watched| {
                let true_share = match watched.region {
                    Region::Below(limit) => limit,
                    Region::Above(limit) => 1.0 - limit,
                    Region::Between(low, high) => high - low,
                    Region::Is(_) | Region::IsNot(_) => unreachable!("numbers have no classes"),
                };
                true_share > watched.bound
            })
        })
        .count();
    assert!(wrong <= runs / 2, "{wrong} of {runs}");
    assert!(wrong > runs / 20, "the bounds are far too wide: {wrong} of {runs}");
}

#[test]
fn the_classical_statistics_stand_beside() {
    let mut random = Rng::with_seed(8);
    let monitor = monitor(&mut random, NoDrift::default());
    let same = monitor.reference().compare(&rows(&mut random, 200, 0.0)).unwrap();
    assert!(same[0].chi_square.unwrap().p_value > 1e-3 && same[0].wasserstein.is_none());
    assert!(same[2].kolmogorov_smirnov.unwrap().p_value > 1e-3);
    let shifted = monitor.reference().compare(&rows(&mut random, 200, 1.0)).unwrap();
    assert!(shifted[2].kolmogorov_smirnov.unwrap().p_value < 1e-9);
    assert!((shifted[2].wasserstein.unwrap() - 1.0).abs() < 0.2);
    assert!(shifted[2].stability_index.statistic > 0.25);
    let nothing: [Vec<f64>; 0] = [];
    assert!(monitor.reference().compare(&nothing).unwrap().is_empty());
}

#[test]
fn rows_that_do_not_fit_are_refused_and_change_nothing() {
    let mut random = Rng::with_seed(9);
    let monitor = monitor(&mut random, NoDrift::default());
    let mut state = monitor.start();
    for row in [vec![0.0, 1.0], vec![4.0, 1.0, 1.0], vec![0.5, 1.0, 1.0], vec![0.0, f64::INFINITY, 1.0]] {
        assert!(monitor.observe(&mut state, &[row], HOUR).is_err());
    }
    assert_eq!(state, monitor.start());
    assert!(Reference::new(&streams(), &[vec![0.0, 0.0, f64::NAN]], 1e-3).is_err());
    assert!(Reference::new(&streams(), &rows(&mut random, 10, 0.0), 0.0).is_err());
}

#[test]
fn a_classifiers_answer_becomes_a_row() {
    let mut random = Rng::with_seed(10);
    let labels: Vec<usize> = (0..600).map(|index| index % 3).collect();
    let mut feature = |label: usize| -> Vec<f32> {
        // the second feature follows the first, the third is always zero
        let (a, b) = (normal(&mut random), normal(&mut random));
        vec![(10.0 * label as f64 + a) as f32, (a + 0.1 * b) as f32, 0.0]
    };
    let features: Vec<Vec<f32>> = labels.iter().map(|&label| feature(label)).collect();
    let distance = Distance::fit(&features, &labels, 3).unwrap();
    let of = |features: [f32; 3]| distance.of(&features).unwrap();
    assert!(of([10.0, 0.0, 0.0]) < 0.5);
    // as far along the first feature, but away from the line on which the two lie
    assert!(of([12.0, -2.0, 0.0]) > 3.0 * of([12.0, 2.0, 0.0]));
    assert!(of([10.0, 0.0, 5.0]) > 5.0);
    assert!(distance.of(&[10.0, 0.0]).is_err() && distance.of(&[10.0, 0.0, f32::NAN]).is_err());
    let inputs = vec!["mean".to_owned()];
    let classifier = Classifier { classes: 3, labels: true, distance: true, inputs };
    let answer = Answer { softmax: &[0.1, 0.7, 0.2], distance: Some(4.5), label: None, inputs: &[0.25] };
    let row = classifier.row(&answer).unwrap();
    assert_eq!(row.len(), classifier.streams().len());
    assert_eq!((row[0], row[1], row[5]), (1.0, f64::from(0.7_f32), 4.5));
    assert!(row[6].is_nan() && row[7] == 0.25);
    assert!(classifier.row(&Answer { distance: None, ..answer }).unwrap()[5].is_nan());
    assert!(classifier.row(&Answer { softmax: &[1.0], ..answer }).is_err());
    assert!(Distance::fit(&features[..3], &labels[..3], 3).is_err());
    let infinite = vec![vec![f32::INFINITY; 3]; 600];
    assert!(Distance::fit(&infinite, &labels, 3).is_err());
}

#[test]
fn the_statistics_of_a_picture_say_where_its_thing_is() {
    // a falling diagonal of five white pixels in a picture of 7 by 7, and the same one place to the right
    let diagonal = |shift: usize| -> Vec<u8> {
        (0..49)
            .map(|index| if (1..6).contains(&(index / 7)) && index % 7 == index / 7 + shift { 255 } else { 0 })
            .collect()
    };
    let [mean, contrast, sharpness, offset, spread, slant] = picture::statistics(&diagonal(0), 7);
    let share: f64 = 5.0 / 49.0;
    assert!((mean - share).abs() < 1e-12 && (contrast - (share * (1.0 - share)).sqrt()).abs() < 1e-12);
    // each of the five differs from its four neighbours, of 84 pairs
    assert!((sharpness - 20.0 / 84.0).abs() < 1e-12, "{sharpness}");
    assert!(
        offset.abs() < 1e-12 && (spread - 2.0).abs() < 1e-12 && (slant - 1.0).abs() < 1e-12,
        "{offset} {spread} {slant}"
    );
    let moved = picture::statistics(&diagonal(1), 7);
    assert!((moved[3] - 1.0).abs() < 1e-12 && (moved[4] - spread).abs() < 1e-12);
    assert_eq!(picture::statistics(&[0; 49], 7), [0.0; 6]);
}
