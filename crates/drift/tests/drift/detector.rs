//! The theorem, piece by piece: what a window's bets pay on average, by summing over all windows that there can be; and how often there
//! is a false alarm, by simulation.

use fastrand::Rng;
use slipway_drift::{Count, Detector, Event, Form, NoDrift, State, upper_bound};

use crate::streams::{Dependence, Simulation};

fn detector(bounds: &[f64], class: NoDrift, form: Form) -> Detector {
    let events: Vec<Event> = bounds.iter().map(|&bound| Event { bound, weight: 1.0 }).collect();
    Detector::new(&events, class, form).unwrap()
}

fn binomial(trials: u32, hits: u32, share: f64) -> f64 {
    let ways = (1..=hits).map(|k| f64::from(trials - hits + k) / f64::from(k)).product::<f64>();
    ways * share.powi(hits as i32) * (1.0 - share).powi((trials - hits) as i32)
}

/// The mean of a window's e-value if each of `clumps` clumps of `size` observations is a hit with this probability, after a window with
/// `before` hits of 20.
fn mean_payoff(detector: &Detector, clumps: u32, size: u32, before: Option<u32>, share: f64) -> f64 {
    let mut start = detector.start();
    if let Some(hits) = before {
        detector.update(&mut start, &[Count { seen: 20, hits }], 0.0).unwrap();
    }
    let payoff = |hits: u32| {
        let count = Count { seen: clumps * size, hits: hits * size };
        detector.update(&mut start.clone(), &[count], 0.0).unwrap().window
    };
    (0..=clumps).map(|hits| binomial(clumps, hits, share) * payoff(hits)).sum()
}

#[test]
fn without_drift_no_window_pays_more_than_its_stake_on_average() {
    for bound in [1e-4, 0.01, 0.1, 0.5, 0.9, 0.999] {
        for (serial, stray) in [(0.0, 0.0), (0.3, 0.0), (0.3, 0.02), (0.9, 0.1)] {
            for size in [1, 2, 5] {
                let class = NoDrift { serial, stray, dispersion: f64::from(size) };
                let detector = detector(&[bound], class, Form::default());
                for before in [None, Some(0), Some(2), Some(10), Some(20)] {
                    // the most probable that the class allows, and less
                    let followed = before.map_or(0.0, |hits| (1.0 - serial) * bound + serial * f64::from(hits) / 20.0);
                    let most = stray + (1.0 - stray) * f64::max(bound, followed);
                    for share in [most, 0.7 * most, 0.0] {
                        let mean = mean_payoff(&detector, 20, size, before, share);
                        assert!(mean <= 1.0 + 1e-9, "{bound} {class:?} {size} {before:?} {share}: {mean}");
                    }
                    let edge = mean_payoff(&detector, 20, size, before, most);
                    assert!(edge > 1.0 - 1e-9, "nothing is given away at the edge of the class: {edge}");
                    assert!(mean_payoff(&detector, 20 * size, 1, before, most) <= 1.0 + 1e-9, "independent ones too");
                }
            }
        }
    }
}

#[test]
fn more_than_the_class_allows_pays() {
    let detector = detector(&[0.1], NoDrift::default(), Form::default());
    assert!(mean_payoff(&detector, 40, 1, None, 0.2) > 2.0);
    // a share of 0.4 that follows a window of 0.2 is more than serial correlation explains
    assert!(mean_payoff(&detector, 40, 1, Some(4), 0.4) > 2.0);
    // clumps of five are more than a dispersion of two
    assert!(mean_payoff(&detector, 20, 5, None, 0.1) > 1.5);
}

/// The share of runs with an alarm within a time in which the stakes sum to `staked`.
fn alarms(class: NoDrift, form: Form, dependence: Dependence, runs: u64, windows: u32, staked: f64) -> f64 {
    let alarm = |seed: &u64| {
        let mut simulation = Simulation::new(3, 40, dependence, *seed);
        let hits = simulation.reference(500);
        let bounds: Vec<f64> = hits
            .into_iter()
            .flat_map(|hits| [hits, 500 - hits])
            .map(|hits| upper_bound(hits, 500, 1e-3 / 6.0))
            .collect();
        let detector = detector(&bounds, class, form);
        let mut state = detector.start();
        (0..windows).any(|_| {
            let counts: Vec<Count> = simulation
                .window()
                .iter()
                .flat_map(|&hits| [Count { seen: 40, hits }, Count { seen: 40, hits: 40 - hits }])
                .collect();
            detector.update(&mut state, &counts, staked / f64::from(windows)).unwrap().alarm()
        })
    };
    (0..runs).filter(alarm).count() as f64 / runs as f64
}

#[test]
fn false_alarms_are_rarer_than_what_was_staked() {
    for dependence in Dependence::ALL {
        for staked in [0.5, 0.1] {
            let share = alarms(NoDrift::default(), Form::ShiryaevRoberts, dependence, 1000, 50, staked);
            assert!(share <= staked, "{dependence:?}: {share} of the runs, {staked} staked");
            assert!(alarms(NoDrift::default(), Form::Cusum, dependence, 1000, 50, staked) <= share);
        }
    }
}

#[test]
fn years_of_hours_without_an_alarm() {
    // once in 100 years; the theorem allows an alarm in these 20 years with probability 0.2
    for dependence in Dependence::ALL {
        assert_eq!(alarms(NoDrift::default(), Form::ShiryaevRoberts, dependence, 20, 8766, 0.01), 0.0);
    }
}

#[test]
#[ignore = "takes minutes: `make bench-drift`"]
fn a_thousand_years_of_hours_have_an_alarm_in_a_hundredth_at_most() {
    for dependence in Dependence::ALL {
        let share = alarms(NoDrift::default(), Form::ShiryaevRoberts, dependence, 1000, 8766, 0.01);
        // a thousandth is the risk of the reference
        assert!(share <= 0.011, "{dependence:?}: {share} of the years");
    }
}

/// Windows whose share of hits changes.
fn windows(random: &mut Rng, number: usize, share: f64) -> Vec<Count> {
    (0..number).map(|_| Count { seen: 50, hits: (0..50).map(|_| u32::from(random.f64() < share)).sum() }).collect()
}

#[test]
fn a_change_is_noticed_soon_and_the_state_can_be_kept_and_recomputed() {
    let mut random = Rng::with_seed(3);
    let bound = upper_bound(100, 1000, 1e-4);
    let detector = detector(&[bound, 0.5], NoDrift::default(), Form::default());
    let stake = 1.0 / 43_830.0;
    let mut state = detector.start();
    let quiet = windows(&mut random, 500, 0.1);
    for &count in &quiet {
        let evidence = detector.update(&mut state, &[count, Count { seen: 50, hits: 25 }], stake).unwrap();
        assert!(!evidence.alarm());
    }
    let kept: State = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    let mut again = detector.start();
    for &count in &quiet {
        detector.update(&mut again, &[count, Count { seen: 50, hits: 25 }], stake).unwrap();
    }
    assert_eq!(again, state);
    assert_eq!((kept.windows(), state.windows()), (500, 500));
    assert!((kept.staked() - 500.0 * stake).abs() < 1e-12);
    let mut state = kept;
    let delay = windows(&mut random, 100, 0.3)
        .into_iter()
        .position(|count| detector.update(&mut state, &[count, Count { seen: 50, hits: 25 }], stake).unwrap().alarm());
    assert!(delay.unwrap() < 12, "{delay:?}");
    let contributions = detector.contributions(&state).unwrap();
    assert!(contributions[0] >= 1.0 && contributions[1] < 1e-3, "{contributions:?}");
}

#[test]
fn empty_windows_and_impossible_events_change_nothing() {
    let detector = detector(&[0.0, 1.0, 0.2], NoDrift::default(), Form::default());
    let mut state = detector.start();
    let evidence = detector.update(&mut state, &[Count::default(); 3], 0.25).unwrap();
    assert!((evidence.window - 1.0).abs() < 1e-12 && (evidence.total - 0.25).abs() < 1e-12);
    let sure = [Count { seen: 9, hits: 9 }, Count { seen: 9, hits: 9 }, Count::default()];
    let evidence = detector.update(&mut state, &sure, 0.25).unwrap();
    assert!((evidence.window - 1.0).abs() < 1e-12 && (evidence.total - 0.5).abs() < 1e-12);
}

#[test]
fn what_does_not_fit_is_refused() {
    let event = Event { bound: 0.1, weight: 1.0 };
    let refused = |class: NoDrift| Detector::new(&[event], class, Form::default()).is_err();
    assert!(refused(NoDrift { serial: 1.0, ..NoDrift::default() }));
    assert!(refused(NoDrift { stray: -0.1, ..NoDrift::default() }));
    assert!(refused(NoDrift { dispersion: 0.5, ..NoDrift::default() }));
    assert!(Detector::new(&[], NoDrift::default(), Form::default()).is_err());
    assert!(Detector::new(&[Event { bound: f64::NAN, ..event }], NoDrift::default(), Form::default()).is_err());
    let one = detector(&[0.1], NoDrift::default(), Form::default());
    let two = detector(&[0.1, 0.2], NoDrift::default(), Form::default());
    assert!(one.update(&mut two.start(), &[Count::default()], 0.1).is_err());
    assert!(one.update(&mut one.start(), &[], 0.1).is_err());
    assert!(one.update(&mut one.start(), &[Count::default()], f64::NAN).is_err());
}
