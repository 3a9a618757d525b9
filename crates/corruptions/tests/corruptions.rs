//! What each corruption does to a picture, and that it does it again.

use slipway_corruptions::{Corruption, PIXELS, SIDE};

/// A thick figure one, a little left of the middle.
fn one() -> [u8; PIXELS] {
    std::array::from_fn(|index| {
        let (row, column) = (index / SIDE, index % SIDE);
        if (5..23).contains(&row) && (11..14).contains(&column) { 230 } else { 0 }
    })
}

fn ink(picture: &[u8; PIXELS]) -> u64 {
    picture.iter().map(|&value| u64::from(value)).sum()
}

fn difference(a: &[u8; PIXELS], b: &[u8; PIXELS]) -> u64 {
    a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum()
}

#[test]
fn strength_zero_changes_nothing_and_full_strength_does() {
    for corruption in Corruption::ALL {
        assert_eq!(corruption.apply(&one(), 0.0, 7), one(), "{}", corruption.name());
        assert_eq!(corruption.apply(&one(), f64::NAN, 7), one());
        assert!(difference(&corruption.apply(&one(), 1.0, 7), &one()) > 500, "{}", corruption.name());
        assert_eq!(Corruption::named(corruption.name()), Some(corruption));
    }
    assert_eq!(Corruption::named("identity"), None);
}

#[test]
fn the_same_seed_gives_the_same_picture_and_another_seed_another() {
    let random = Corruption::ALL.into_iter().filter(|corruption| {
        use Corruption::{Brightness, CannyEdges, Scale, Stripe};
        ![Brightness, CannyEdges, Scale, Stripe].contains(corruption)
    });
    for corruption in random {
        let first = corruption.apply(&one(), 1.0, 1);
        assert_eq!(first, corruption.apply(&one(), 1.0, 1));
        assert!((2..12).any(|seed| corruption.apply(&one(), 1.0, seed) != first), "{}", corruption.name());
    }
}

#[test]
fn more_strength_is_more_change() {
    for corruption in Corruption::ALL {
        let change = |strength: f64| {
            (0..20).map(|seed| difference(&corruption.apply(&one(), strength, seed), &one())).sum::<u64>()
        };
        let (weak, full) = (change(0.2), change(1.0));
        assert!(weak < full, "{}: {weak} at 0.2, {full} at 1", corruption.name());
    }
}

#[test]
fn each_does_what_its_definition_says() {
    use Corruption::*;
    let apply = |corruption: Corruption| corruption.apply(&one(), 1.0, 3);
    // ground of 0 + 0.5, ink cut at white
    assert!(apply(Brightness).iter().all(|&value| value == 128 || value == 255));
    // half the width and half the height is a quarter of the ink
    let quarter = ink(&apply(Scale)) as f64 / ink(&one()) as f64;
    assert!((0.2..0.3).contains(&quarter), "{quarter}");
    // five pixels both ways: none of the ink is lost, and the middle of it moves by five
    assert_eq!(ink(&apply(Translate)), ink(&one()));
    let middle = |picture: &[u8; PIXELS]| {
        let moment: f64 =
            picture.iter().enumerate().map(|(index, &value)| (index % SIDE) as f64 * f64::from(value)).sum();
        moment / ink(picture) as f64
    };
    assert!(((middle(&apply(Translate)) - middle(&one())).abs() - 5.0).abs() < 1e-9);
    // the middle six columns inverted, nothing else
    let striped = apply(Stripe);
    for (index, (&after, &before)) in striped.iter().zip(&one()).enumerate() {
        let expected = if (11..17).contains(&(index % SIDE)) { 255 - before } else { before };
        assert_eq!(after, expected);
    }
    // noise leaves the mean where it was, within some standard errors
    let shot: u64 = (0..50).map(|seed| ink(&ShotNoise.apply(&one(), 0.5, seed))).sum();
    let ratio = shot as f64 / (50 * ink(&one())) as f64;
    assert!((0.95..1.05).contains(&ratio), "{ratio}");
    // a share of 0.27, half of it as it was before
    let struck = apply(ImpulseNoise).iter().zip(&one()).filter(|(after, before)| after != before).count();
    assert!((70..150).contains(&struck), "{struck}");
    // edges are black and white, and the inside of a thick bar is none
    assert!(apply(CannyEdges).iter().all(|&value| value == 0 || value == 255));
    // lines only add ink
    for corruption in [DottedLine, Zigzag, Spatter] {
        assert!(apply(corruption).iter().zip(&one()).all(|(after, before)| after >= before));
    }
    // the fog is bright somewhere, and keeps the ink brighter than itself on average
    let fog = apply(Fog);
    assert!(ink(&fog) > ink(&one()));
}
