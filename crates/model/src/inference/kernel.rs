//! Weighted sums, which are nearly all of the work: each convolution and each fully connected layer is one, over windows of its input.
//!
//! The vectors of the processor hold neighbouring channels, so channels lie next to each other in memory. A tile of several windows by
//! several vectors stays in registers while the weights pass by once.

use fearless_simd::prelude::*;

/// Channels of outputs are filled up to a multiple of this: the longest vector of any processor.
const VECTOR: usize = 16;

/// The weights of a layer.
#[derive(Debug)]
pub(super) struct Weights {
    /// One row of `width` outputs for each input of a window.
    rows: Vec<f32>,
    bias: Vec<f32>,
    width: usize,
}

/// Where the inputs of a window are: `runs` times `length` numbers that follow each other, `apart` from run to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) runs: usize,
    pub(super) apart: usize,
    pub(super) length: usize,
}

/// A number of outputs, filled up to whole vectors.
pub(super) fn padded(outputs: usize) -> usize {
    outputs.next_multiple_of(VECTOR)
}

impl Weights {
    /// Weights by their input and output; `bias` has one number for each output. What fills up vectors is zero.
    pub(super) fn new(inputs: usize, bias: &[f32], weight: impl Fn(usize, usize) -> f32) -> Self {
        let width = padded(bias.len());
        let mut rows = vec![0.0; inputs * width];
        for (input, row) in rows.chunks_exact_mut(width).enumerate() {
            for (output, number) in row.iter_mut().take(bias.len()).enumerate() {
                *number = weight(input, output);
            }
        }
        let mut padded = vec![0.0; width];
        padded[..bias.len()].copy_from_slice(bias);
        Self { rows, bias: padded, width }
    }

    /// Outputs of a window, filled up to whole vectors.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The sums of `windows` windows, the first at the beginning of `x` and each `step` numbers after the one before. They are written one
    /// after the other; with `relu`, negative ones as 0.
    #[inline(always)]
    pub(super) fn sums<S: Simd>(
        &self,
        simd: S,
        x: &[f32],
        window: Window,
        (windows, step): (usize, usize),
        relu: bool,
        to: &mut [f32],
    ) {
        let line = Line { weights: self, x, window, step, relu };
        let vectors = self.width / S::f32s::LEN;
        let mut at = 0;
        // As many sums at once as there are registers, and enough that none waits for the one before.
        macro_rules! while_there_are {
            ($windows:literal by $vectors:literal) => {
                while windows - at >= $windows {
                    line.tiles::<S, $vectors, $windows>(simd, at, to);
                    at += $windows;
                }
            };
        }
        if windows == 1 && vectors.is_multiple_of(8) {
            while_there_are!(1 by 8);
        } else if vectors.is_multiple_of(2) {
            while_there_are!(7 by 2);
            while_there_are!(4 by 2);
            while_there_are!(2 by 2);
            while_there_are!(1 by 2);
        } else {
            while_there_are!(14 by 1);
            while_there_are!(7 by 1);
            while_there_are!(4 by 1);
            while_there_are!(1 by 1);
        }
    }
}

/// Windows of the same weights.
struct Line<'a> {
    weights: &'a Weights,
    x: &'a [f32],
    window: Window,
    step: usize,
    relu: bool,
}

impl Line<'_> {
    /// `P` windows from `at` on, `V` vectors of outputs after the other.
    #[allow(clippy::needless_range_loop, reason = "by an iterator, the sums would be in memory")]
    #[inline(always)]
    fn tiles<S: Simd, const V: usize, const P: usize>(&self, simd: S, at: usize, to: &mut [f32]) {
        let width = self.weights.width;
        let to = &mut to[at * width..(at + P) * width];
        let vectors = width / S::f32s::LEN;
        for first in (0..vectors).step_by(V) {
            let sums = self.tile::<S, V, P>(simd, at, first);
            for window in 0..P {
                for vector in 0..V {
                    let sum = sums[window][vector];
                    let sum = if self.relu { sum.max(0.0) } else { sum };
                    let from = window * width + (first + vector) * S::f32s::LEN;
                    sum.store_slice(&mut to[from..from + S::f32s::LEN]);
                }
            }
        }
    }

    /// `P` windows from `at` on, and `V` vectors of outputs from the vector `first` on.
    #[allow(clippy::needless_range_loop, reason = "by an iterator, the sums would be in memory")]
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const P: usize>(&self, simd: S, at: usize, first: usize) -> [[S::f32s; V]; P] {
        let Window { runs, apart, length } = self.window;
        let Weights { rows, bias, width } = self.weights;
        let from = first * S::f32s::LEN;
        // Loops over numbers instead of iterators or closures: those take the sums as a whole, which puts them into memory.
        let mut sums = [[S::f32s::splat(simd, 0.0); V]; P];
        for window in 0..P {
            for vector in 0..V {
                sums[window][vector] = S::f32s::from_slice(simd, &bias[from + vector * S::f32s::LEN..][..S::f32s::LEN]);
            }
        }
        let x = &self.x[at * self.step..];
        let mut rows = rows[from..].chunks(*width);
        for run in 0..runs {
            let mut inputs: [&[f32]; P] = [&[]; P];
            for window in 0..P {
                inputs[window] = &x[run * apart + window * self.step..][..length];
            }
            for (input, row) in (0..length).zip(&mut rows) {
                // Without a way to panic, the sums stay in registers.
                let Some(row) = row.get(..V * S::f32s::LEN) else { continue };
                let mut weights = [S::f32s::splat(simd, 0.0); V];
                for vector in 0..V {
                    weights[vector] = S::f32s::from_slice(simd, &row[vector * S::f32s::LEN..][..S::f32s::LEN]);
                }
                for window in 0..P {
                    let number = S::f32s::splat(simd, inputs[window][input]);
                    for vector in 0..V {
                        sums[window][vector] = number.mul_add(weights[vector], sums[window][vector]);
                    }
                }
            }
        }
        sums
    }
}
