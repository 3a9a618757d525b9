//! The power that docs/continuous-training.md speaks of must not get worse: how soon a change is noticed, and how many of the fifteen corruptions are.
//! Its whole tables need a network and minutes: `make bench-drift`.

use std::time::Duration;

use fastrand::Rng;
use slipway_corruptions::{Corruption, PIXELS, SIDE};
use slipway_drift::{Count, Detector, Event, Form, Monitor, NoDrift, Promise, Reference, Stream, picture, upper_bound};

const HOUR: Duration = Duration::from_secs(3600);
const WINDOW: usize = 50;
const INDEPENDENT: NoDrift = NoDrift { serial: 0.0, stray: 0.0, dispersion: 1.0 };

/// The observations, of 200 runs, until half and 95 % of them have noticed that a share is another one: hourly windows, once in 5 years.
fn delay([before, after]: [f64; 2], reference: usize, class: NoDrift) -> [usize; 2] {
    let mut random = Rng::with_seed(4);
    let hits = (before * reference as f64) as usize;
    let event = Event { bound: upper_bound(hits, reference, 1e-3), weight: 1.0 };
    let detector = Detector::new(&[event], class, Form::default()).unwrap();
    let mut delays: Vec<usize> = (0..200)
        .map(|_| {
            let mut state = detector.start();
            let noticed = (1..20_000).find(|_| {
                let hits = (0..WINDOW).filter(|_| random.f64() < after).count() as u32;
                let count = Count { seen: WINDOW as u32, hits };
                detector.update(&mut state, &[count], 1.0 / 43_830.0).unwrap().alarm()
            });
            noticed.unwrap() * WINDOW
        })
        .collect();
    delays.sort_unstable();
    [delays[100], delays[190]]
}

#[test]
fn a_change_is_noticed_as_soon_as_the_table_says() {
    let default = NoDrift::default();
    for (shares, reference, class, most) in [
        ([0.1, 0.2], 2_500, default, [2050, 2600]),
        ([0.1, 0.2], 2_500, INDEPENDENT, [500, 800]),
        ([0.1, 0.4], 2_500, default, [200, 350]),
        ([0.1, 0.4], 2_500, INDEPENDENT, [50, 150]),
        ([0.02, 0.06], 100_000, default, [1950, 2750]),
        ([0.5, 0.6], 100_000, INDEPENDENT, [600, 1150]),
    ] {
        let found = delay(shares, reference, class);
        let is_as_soon = found.iter().zip(most).all(|(found, most)| *found <= most);
        assert!(is_as_soon, "{shares:?}, a reference of {reference}, {class:?}: {found:?}, and it was {most:?}");
    }
}

/// An upright stroke and one across it, each picture another one.
fn drawn(random: &mut Rng) -> [u8; PIXELS] {
    let mut between = |low: f64, high: f64| low + (high - low) * random.f64();
    let (x, y) = (between(12.5, 14.5), between(12.5, 14.5));
    let (height, width) = (between(7.0, 9.0), between(4.0, 6.0));
    let (across, tilt, thickness) = (between(-5.0, 5.0), between(-0.15, 0.15), between(1.2, 2.2));
    std::array::from_fn(|pixel| {
        let row = (pixel / SIDE) as f64 - y;
        let column = (pixel % SIDE) as f64 - x - tilt * row;
        let upright = column.abs().max(row.abs() - height);
        let other = (row - across).abs().max(column.abs() - width);
        (255.0 * (thickness - upright.min(other)).clamp(0.0, 1.0)) as u8
    })
}

#[test]
fn ten_of_fifteen_corruptions_are_noticed_within_two_hundred_pictures_by_six_numbers_of_each_alone() {
    let mut random = Rng::with_seed(31);
    let numbers = |picture: &[u8; PIXELS]| picture::statistics(picture, SIDE).to_vec();
    let rows: Vec<Vec<f64>> = (0..2_000).map(|_| numbers(&drawn(&mut random))).collect();
    let streams = picture::STATISTICS.map(|name| Stream::numbers(name, 1.0));
    let reference = Reference::new(&streams, &rows, 1e-3).unwrap();
    let promise: Promise = "once in 5 years".parse().unwrap();
    let monitor = Monitor::new(reference, NoDrift::default(), promise).unwrap();
    let mut quiet = monitor.start();
    for _ in 0..10 {
        let window: Vec<Vec<f64>> = (0..WINDOW).map(|_| numbers(&drawn(&mut random))).collect();
        assert!(!monitor.observe(&mut quiet, &window, HOUR).unwrap().alarm);
    }
    let missed: Vec<&str> = Corruption::ALL
        .into_iter()
        .filter(|corruption| {
            // in each of five runs
            (0..5).any(|_| {
                let mut state = quiet.clone();
                !(0..200 / WINDOW).any(|_| {
                    let mut row = || numbers(&corruption.apply(&drawn(&mut random), 1.0, random.u64(..)));
                    let window: Vec<Vec<f64>> = (0..WINDOW).map(|_| row()).collect();
                    monitor.observe(&mut state, &window, HOUR).unwrap().alarm
                })
            })
        })
        .map(Corruption::name)
        .collect();
    assert!(missed.len() <= 5, "not noticed: {missed:?}");
}
