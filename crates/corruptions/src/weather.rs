//! Corruptions that lie over the picture: light, fog, splashes, a stripe.

use fastrand::Rng;

use crate::image::{Picture, SIDE, blur, each, normal};

pub(crate) fn brightness(clean: &Picture, strength: f64) -> Picture {
    clean.map(|value| value + 0.5 * strength)
}

pub(crate) fn stripe(clean: &Picture, strength: f64) -> Picture {
    let half = 3.0 * strength;
    each(|row, column| {
        let value = clean[row * SIDE + column];
        let distance = (column as f64 - (SIDE as f64 - 1.0) / 2.0).abs();
        if distance < half { 1.0 - value } else { value }
    })
}

pub(crate) fn fog(clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
    // 1 at full strength, and the whole brought back into the range, so that ink stays brighter than the fog
    let thick = 1.2 * strength;
    let cloud = plasma(random);
    each(|row, column| (clean[row * SIDE + column] + thick * cloud[row * SIDE + column]) / (1.0 + thick))
}

/// Fractal noise from 0 to 1: random numbers on finer and finer grids, each with half the amplitude of the one before.
fn plasma(random: &mut Rng) -> Picture {
    let mut sum = [0.0; SIDE * SIDE];
    let mut amplitude = 1.0;
    for cells in [2_usize, 4, 8, 16] {
        let grid: Vec<f64> = (0..(cells + 1) * (cells + 1)).map(|_| random.f64()).collect();
        let layer = each(|row, column| {
            let (y, x) = (row as f64 / SIDE as f64 * cells as f64, column as f64 / SIDE as f64 * cells as f64);
            let (top, left) = (y as usize, x as usize);
            let (down, right) = (y - top as f64, x - left as f64);
            let at = |row: usize, column: usize| grid[row * (cells + 1) + column];
            (at(top, left) * (1.0 - right) + at(top, left + 1) * right) * (1.0 - down)
                + (at(top + 1, left) * (1.0 - right) + at(top + 1, left + 1) * right) * down
        });
        for (sum, value) in sum.iter_mut().zip(layer) {
            *sum += amplitude * value;
        }
        amplitude /= 2.0;
    }
    let low = sum.iter().copied().fold(f64::INFINITY, f64::min);
    let high = sum.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    sum.map(|value| (value - low) / (high - low))
}

pub(crate) fn spatter(clean: &Picture, strength: f64, random: &mut Rng) -> Picture {
    let liquid = blur(&each(|_, _| normal(random)), 1.5);
    let mean = liquid.iter().sum::<f64>() / liquid.len() as f64;
    let deviation = (liquid.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / liquid.len() as f64).sqrt();
    // a tenth of the picture at full strength
    let level = 1.28 + 2.0 * (1.0 - strength);
    each(|row, column| {
        let index = row * SIDE + column;
        let above = (liquid[index] - mean) / deviation - level;
        if above > 0.0 { clean[index].max((0.5 + above).min(1.0)) } else { clean[index] }
    })
}
