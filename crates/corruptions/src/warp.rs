//! Corruptions that move the picture: each pixel is taken from another place.

use fastrand::Rng;

use crate::image::{Picture, SIDE, between, each, sample, side};

const MIDDLE: f64 = (SIDE as f64 - 1.0) / 2.0;

pub(crate) fn rotate(clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
    let (sine, cosine) = (side(random) * strength).sin_cos();
    each(|row, column| {
        let (y, x) = (row as f64 - MIDDLE, column as f64 - MIDDLE);
        sample(clean, MIDDLE + cosine * y - sine * x, MIDDLE + sine * y + cosine * x)
    })
}

pub(crate) fn scale(clean: &Picture, strength: f64) -> Picture {
    let factor = 1.0 / (1.0 - 0.5 * strength);
    each(|row, column| {
        sample(clean, MIDDLE + factor * (row as f64 - MIDDLE), MIDDLE + factor * (column as f64 - MIDDLE))
    })
}

pub(crate) fn shear(clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
    let slope = side(random) * 0.6 * strength;
    each(|row, column| sample(clean, row as f64 + slope * (column as f64 - MIDDLE), column as f64))
}

pub(crate) fn translate(clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
    let (down, right) = (side(random) * 5.0 * strength, side(random) * 5.0 * strength);
    each(|row, column| sample(clean, row as f64 - down, column as f64 - right))
}

pub(crate) fn motion(clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
    let (sine, cosine) = between(random, -45.0, 45.0).to_radians().sin_cos();
    let reach = 7.0 * strength;
    let steps = 15;
    each(|row, column| {
        let along = (0..steps).map(|step| reach * (2.0 * f64::from(step) / f64::from(steps - 1) - 1.0));
        along.map(|way| sample(clean, row as f64 + sine * way, column as f64 + cosine * way)).sum::<f64>()
            / f64::from(steps)
    })
}
