//! Champion and challenger, canary: how often each is wrong about them, and how soon right.

use fastrand::Rng;
use slipway_drift::{Canary, Decision, Paired};

/// Requests until the decision; none if it is open after 10,000.
fn decide(random: &mut Rng, wins: f64, losses: f64) -> (Decision, usize) {
    let mut test = Paired::new(0.01).unwrap();
    for request in 1..=10_000 {
        let uniform = random.f64();
        // wins: only the challenger is right; losses: only the champion is
        let (challenger, champion) = (uniform < wins, (wins..wins + losses).contains(&uniform));
        if test.observe_answers(challenger, champion) != Decision::Open {
            return (test.decision(), request);
        }
    }
    (Decision::Open, 10_000)
}

#[test]
fn an_equal_challenger_is_not_promoted_and_one_better_by_a_point_is() {
    let mut random = Rng::with_seed(11);
    // 0.97 each, and they differ on 2.6 % of the requests
    let equal: Vec<_> = (0..1000).map(|_| decide(&mut random, 0.013, 0.013).0).collect();
    let promoted = equal.iter().filter(|decision| **decision == Decision::Better).count();
    assert!(promoted <= 10, "{promoted} of 1000 equal ones promoted");
    // 0.97 and 0.98
    let mut better: Vec<_> = (0..1000).map(|_| decide(&mut random, 0.022, 0.012)).collect();
    let promoted = better.iter().filter(|(decision, _)| *decision == Decision::Better).count();
    assert!(promoted >= 900, "{promoted} of 1000 better ones promoted");
    better.sort_by_key(|(_, requests)| *requests);
    println!(
        "equal: promoted {}, better by a point: promoted {promoted}, median after {} requests",
        equal.iter().filter(|decision| **decision == Decision::Better).count(),
        better[500].1
    );
}

#[test]
fn the_confidence_sequence_contains_the_difference_at_all_times() {
    let mut random = Rng::with_seed(12);
    let missed = (0..300)
        .filter(|_| {
            let mut test = Paired::new(0.1).unwrap();
            (1..=1500).any(|request| {
                let uniform = random.f64();
                test.observe_answers(uniform < 0.10, (0.10..0.15).contains(&uniform));
                // every tenth: a bisection for each end costs
                request % 10 == 0 && {
                    let (low, high) = test.difference();
                    !(low..=high).contains(&0.05)
                }
            })
        })
        .count();
    assert!(missed <= 30, "{missed} of 300");
    let mut test = Paired::new(0.05).unwrap();
    assert!(test.difference().0 <= -1.0 + 1e-9 && test.difference().1 >= 1.0 - 1e-9);
    for request in 0..2000 {
        test.observe_answers(request % 10 != 0, request % 10 == 0);
    }
    let (low, high) = test.difference();
    assert!(low > 0.7 && high < 0.9 && low < 0.8 && high > 0.8, "{low} {high}");
    let json = serde_json::to_string(&test).unwrap();
    assert_eq!(serde_json::from_str::<Paired>(&json).unwrap(), test);
}

/// Requests of the canary, which gets a tenth, until it is found to be worse.
fn canary(random: &mut Rng, fails: f64, usual: f64, requests: usize) -> Option<usize> {
    let mut test = Canary::new(0.01, 0.005).unwrap();
    let mut asked = 0;
    for _ in 0..requests {
        if random.f64() < 0.1 {
            asked += 1;
            test.canary(random.f64() < fails);
        } else {
            test.champion(random.f64() < usual);
        }
        if test.worse() {
            return Some(asked);
        }
    }
    None
}

#[test]
fn a_canary_that_fails_is_found_and_one_that_does_not_is_left() {
    let mut random = Rng::with_seed(13);
    let found = (0..500).filter(|_| canary(&mut random, 0.015, 0.01, 10_000).is_some()).count();
    assert!(found <= 5, "{found} of 500 that are as good as the margin says");
    let mut broken: Vec<usize> = (0..200).map(|_| canary(&mut random, 1.0, 0.01, 1000).unwrap()).collect();
    broken.sort_unstable();
    assert!(broken[199] <= 20, "{broken:?}");
    let mut worse: Vec<usize> = (0..200).map(|_| canary(&mut random, 0.1, 0.01, 100_000).unwrap()).collect();
    worse.sort_unstable();
    println!("fails always: {} of its requests, worst {}; one in ten: median {}", broken[100], broken[199], worse[100]);
    assert!(worse[100] <= 200, "{}", worse[100]);
}

#[test]
fn levels_out_of_range_are_refused() {
    assert!(Paired::new(0.0).is_err() && Paired::new(f64::NAN).is_err());
    assert!(Canary::new(1.0, 0.0).is_err() && Canary::new(0.01, 1.0).is_err());
}
