//! Corruptions that move or change single pixels by chance.

use fastrand::Rng;

use crate::image::{Picture, SIDE, blur};

pub(crate) fn shot(clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
    // the fewer photons, the noisier; in equal steps of the logarithm from 500 to 5
    let photons = 500.0 * 0.01_f64.powf(strength);
    clean.map(|value| f64::from(poisson(random, value * photons)) / photons)
}

/// A Poisson number, by multiplying uniform ones (Knuth), in parts so small that their exponential does not vanish.
fn poisson(random: &mut Rng, mean: f64) -> u32 {
    let mut left = mean;
    let mut count = 0;
    while left > 0.0 {
        let part = left.min(20.0);
        left -= part;
        let limit = (-part).exp();
        let mut product = random.f64();
        while product > limit {
            count += 1;
            product *= random.f64();
        }
    }
    count
}

pub(crate) fn impulse(clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
    clean.map(|value| {
        if random.f64() >= 0.27 * strength {
            value
        } else if random.bool() {
            1.0
        } else {
            0.0
        }
    })
}

pub(crate) fn glass(clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
    let mut picture = blur(clean, 0.7 * strength);
    for _ in 0..2 {
        for row in (1..SIDE - 1).rev() {
            for column in (1..SIDE - 1).rev() {
                if random.f64() < strength {
                    let other = (row + random.usize(0..3) - 1, column + random.usize(0..3) - 1);
                    picture.swap(row * SIDE + column, other.0 * SIDE + other.1);
                }
            }
        }
    }
    blur(&picture, 0.7 * strength)
}
