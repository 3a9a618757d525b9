//! Images for tests and benchmarks, which need no dataset.

use slipway_model::SplitMix64;

use crate::failure::Result;
use crate::images::Images;

/// Synthetic images of MNIST's shape for tests and benchmarks.
pub(crate) fn synthetic(count: usize, seed: u64) -> Result<Images> {
    synthetic_of(count, seed, 28)
}

/// Synthetic square images: each of ten classes is a bright block at its own place, with noise over it.
pub(crate) fn synthetic_of(count: usize, seed: u64, side: usize) -> Result<Images> {
    let mut random = SplitMix64::new(seed);
    let mut pixels = Vec::with_capacity(count * side * side);
    let mut labels = Vec::with_capacity(count);
    let scaled = |pixels: usize| pixels * side / 28;
    for _ in 0..count {
        let label = (random.next_u64() % 10) as u8;
        let (row, column) = (4 + 10 * usize::from(label / 5), 2 + 5 * usize::from(label % 5));
        let (rows, columns) = (scaled(row)..scaled(row + 8), scaled(column)..scaled(column + 4));
        for y in 0..side {
            for x in 0..side {
                let ink = if rows.contains(&y) && columns.contains(&x) { 160 } else { 0 };
                pixels.push(ink + (random.next_u64() % 80) as u8);
            }
        }
        labels.push(label);
    }
    Images::new(&pixels, &labels, [side, side], 10)
}
