//! A network in the form that answers: the same layers as [`Model`](crate::Model), prepared once for fast answers to few images.
//!
//! libtorch pays for its generality at every operation, which is most of the time when an image is answered alone. Here a convolution, its
//! pool and its relu are one step, channels lie next to each other in memory, and nothing is allocated for an intermediate result. The
//! images of a batch go through the convolutions one after the other, and through the fully connected layers together, because the weights
//! of those are large and each is used once an image.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch};
use slipway_architecture::Layer;

use crate::{Config, Model, Preprocessing, Result};

mod kernel;

use kernel::{Weights, Window};

/// Added to variances by group normalisation, as in training.
const EPSILON: f32 = crate::network::EPSILON as f32;

/// A network whose layers are prepared. Any number of threads may use it at once.
#[derive(Debug)]
pub struct Inference {
    config: Config,
    /// The images: what comes in is the first.
    images: Vec<Image>,
    steps: Vec<Step>,
    /// The image that becomes the features of the first fully connected layer.
    last: usize,
    dense: Vec<Dense>,
    /// Memory of earlier calls.
    scratch: Mutex<Vec<Scratch>>,
}

/// An image in memory: rows of pixels of channels, with a border of zeros that convolutions reach into.
#[derive(Clone, Copy, Debug)]
struct Image {
    /// With those that fill up vectors.
    channels: usize,
    height: usize,
    width: usize,
    border: usize,
}

/// A step from one image to another.
#[derive(Debug)]
struct Step {
    from: usize,
    to: usize,
    does: Does,
    /// Whether negative numbers then become 0.
    relu: bool,
}

#[derive(Debug)]
enum Does {
    /// A convolution, and the maximum of every 2 × 2 of its pixels if `pool`.
    Convolution { weights: Weights, side: usize, stride: usize, pool: bool },
    /// Group normalisation.
    Norm { weight: Vec<f32>, bias: Vec<f32>, channels: usize },
    /// Adds the image `from` to the image `to`.
    Add,
}

/// A fully connected layer.
#[derive(Debug)]
struct Dense {
    weights: Weights,
    inputs: usize,
    /// Where each feature that it takes is among its inputs, of which some only fill up vectors.
    features: Vec<usize>,
    relu: bool,
}

/// The memory of a call, which the next call uses again.
#[derive(Debug, Default)]
struct Scratch {
    images: Vec<Vec<f32>>,
    /// Two rows of a convolution before its pool.
    rows: Vec<f32>,
    /// The rows of a batch, before and after a fully connected layer.
    features: [Vec<f32>; 2],
}

impl Image {
    fn stride(&self) -> usize {
        (self.width + 2 * self.border) * self.channels
    }

    fn numbers(&self) -> usize {
        (self.height + 2 * self.border) * self.stride()
    }

    /// Where a row of pixels begins, without its border.
    fn row(&self, y: usize) -> usize {
        (y + self.border) * self.stride() + self.border * self.channels
    }

    /// Numbers of a row of pixels, without its border.
    fn across(&self) -> usize {
        self.width * self.channels
    }
}

impl Inference {
    /// Prepares a network. `None` if this form does not have one of its layers in its place.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn of(model: &Model) -> Result<Option<Self>> {
        let mut parameters = HashMap::new();
        for (name, tensor) in model.named_parameters() {
            parameters.insert(name, Vec::<f32>::try_from(tensor.f_flatten(0, -1)?)?);
        }
        let config = model.config();
        Ok(Self::new(config, &config.architecture.layers(config.classes), |name| parameters.get(name).cloned()))
    }

    /// Prepares these layers; `parameter` gives the numbers of a parameter by its name.
    fn new(config: &Config, layers: &[Layer], parameter: impl Fn(&str) -> Option<Vec<f32>>) -> Option<Self> {
        let at = layers.iter().position(|layer| *layer == Layer::Flatten)?;
        let [channels, height, width] = config.input.map(|size| size as usize);
        let border = border(layers);
        let mut preparing =
            Preparing { images: vec![Image { channels, height, width, border }], steps: Vec::new(), parameter };
        let (last, channels) = preparing.images(&layers[..at], 0, channels)?;
        let dense = preparing.dense(&layers[at + 1..], last, channels)?;
        let Preparing { images, steps, .. } = preparing;
        Some(Self { config: config.clone(), images, steps, last, dense, scratch: Mutex::default() })
    }

    /// Probabilities of `n` images, as [`Bundle::probabilities`](crate::Bundle::probabilities) gives them.
    ///
    /// # Errors
    /// When there are not `n` images.
    pub fn probabilities(&self, images: &[f32], n: usize) -> Result<Vec<f32>> {
        self.answer(images, n, None)
    }

    /// The same, with features where they are asked for, as [`Bundle::answer`](crate::Bundle::answer) gives them.
    ///
    /// # Errors
    /// When there are not `n` images.
    pub fn answer(&self, images: &[f32], n: usize, features: Option<&mut Vec<f32>>) -> Result<Vec<f32>> {
        self.config.check(images, n)?;
        let free = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let known = free().pop();
        let mut scratch = known.unwrap_or_else(|| self.scratch());
        dispatch!(Level::new(), simd => self.run(simd, images, n, &mut scratch));
        let classes = self.config.classes as usize;
        let width = self.dense.last().map_or(classes, |layer| layer.weights.width());
        let mut probabilities = Vec::with_capacity(n * classes);
        for scores in scratch.features[0].chunks_exact(width).take(n) {
            softmax(&scores[..classes], &mut probabilities);
        }
        if let (Some(features), Some(last)) = (features, self.dense.last()) {
            for taken in scratch.features[1].chunks_exact(last.inputs).take(n) {
                features.extend(last.features.iter().map(|at| taken[*at]));
            }
        }
        free().push(scratch);
        Ok(probabilities)
    }

    fn scratch(&self) -> Scratch {
        let images = self.images.iter().map(|image| vec![0.0; image.numbers()]).collect();
        Scratch { images, ..Scratch::default() }
    }
}

/// How far the convolutions reach over the side of their image.
fn border(layers: &[Layer]) -> usize {
    let of = |layer: &Layer| match layer {
        Layer::Convolution { side, .. } => *side as usize / 2,
        Layer::Residual { body, shortcut } => border(body).max(border(shortcut)),
        _ => 0,
    };
    layers.iter().map(of).max().unwrap_or_default()
}

/// Turns layers into steps.
struct Preparing<F> {
    images: Vec<Image>,
    steps: Vec<Step>,
    parameter: F,
}

impl<F: Fn(&str) -> Option<Vec<f32>>> Preparing<F> {
    fn parameters(&self, layer: &str) -> Option<[Vec<f32>; 2]> {
        let of = |what: &str| (self.parameter)(&format!("{layer}.{what}"));
        Some([of("weight")?, of("bias")?])
    }

    /// Adds a step from an image to a new one of this shape.
    fn step(&mut self, from: usize, does: Does, channels: usize, [height, width]: [usize; 2]) -> usize {
        let border = self.images[from].border;
        self.images.push(Image { channels, height, width, border });
        let to = self.images.len() - 1;
        self.steps.push(Step { from, to, does, relu: false });
        to
    }

    /// Adds the steps of layers between images. Takes and returns an image and the number of its channels.
    fn images(&mut self, layers: &[Layer], mut at: usize, mut channels: usize) -> Option<(usize, usize)> {
        let begun = self.steps.len();
        for layer in layers {
            let Image { channels: padded, height, width, .. } = self.images[at];
            match layer {
                Layer::Convolution { name, side, stride, .. } => {
                    let [weight, bias] = self.parameters(name)?;
                    let (side, stride) = (*side as usize, *stride as usize);
                    let weights = Weights::new(side * side * padded, &bias, |input, output| {
                        let (pixel, channel) = (input / padded, input % padded);
                        if channel >= channels {
                            return 0.0;
                        }
                        weight[(output * channels + channel) * side * side + pixel]
                    });
                    channels = bias.len();
                    let size = [height, width].map(|size| size.div_ceil(stride));
                    let width = weights.width();
                    at = self.step(at, Does::Convolution { weights, side, stride, pool: false }, width, size);
                }
                Layer::GroupNorm { name, groups } => {
                    let [weight, bias] = self.parameters(name)?;
                    let channels = channels / *groups as usize;
                    at = self.step(at, Does::Norm { weight, bias, channels }, padded, [height, width]);
                }
                // Neither may change what another branch takes as well.
                Layer::MaxPool | Layer::Relu if self.steps.len() == begun => return None,
                Layer::MaxPool => {
                    let Does::Convolution { pool: pool @ false, .. } = &mut self.steps.last_mut()?.does else {
                        return None;
                    };
                    *pool = true;
                    let image = &mut self.images[at];
                    (image.height, image.width) = (height / 2, width / 2);
                }
                Layer::Relu => self.steps.last_mut()?.relu = true,
                Layer::Dropout => {}
                Layer::Residual { body, shortcut } => {
                    let (to, added) = self.images(body, at, channels)?;
                    let (from, _) = self.images(shortcut, at, channels)?;
                    self.steps.push(Step { from, to, does: Does::Add, relu: false });
                    (at, channels) = (to, added);
                }
                Layer::Flatten | Layer::Linear { .. } => return None,
            }
        }
        Some((at, channels))
    }

    /// The layers after an image of so many channels has become one row of features.
    fn dense(&self, layers: &[Layer], image: usize, channels: usize) -> Option<Vec<Dense>> {
        let image = self.images[image];
        let pixels = image.height * image.width;
        let mut all: Vec<Dense> = Vec::new();
        for layer in layers {
            match layer {
                Layer::Linear { name, .. } => {
                    let [weight, bias] = self.parameters(name)?;
                    let count = weight.len() / bias.len();
                    let inputs = all.last().map_or(pixels * image.channels, |before| before.weights.width());
                    let first = all.is_empty();
                    // The feature that an input is, unless it only fills up a vector.
                    let feature = |input: usize| {
                        // Features of the image lie pixel by pixel here, and channel by channel in the parameter.
                        let (pixel, channel) = (input / image.channels, input % image.channels);
                        let (feature, fills) = if first {
                            (channel * pixels + pixel, channel >= channels)
                        } else {
                            (input, input >= count)
                        };
                        (!fills).then_some(feature)
                    };
                    let weights = Weights::new(inputs, &bias, |input, output| {
                        feature(input).map_or(0.0, |feature| weight[output * count + feature])
                    });
                    let mut features = vec![0; count];
                    for (input, feature) in (0..inputs).filter_map(|input| Some((input, feature(input)?))) {
                        features[feature] = input;
                    }
                    all.push(Dense { weights, inputs, features, relu: false });
                }
                Layer::Relu => all.last_mut()?.relu = true,
                Layer::Dropout => {}
                _ => return None,
            }
        }
        (!all.is_empty()).then_some(all)
    }
}

impl Inference {
    /// Leaves the scores of `n` images in the first features of the scratch memory, and what the last layer took in the others.
    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, images: &[f32], n: usize, scratch: &mut Scratch) {
        let last = &self.images[self.last];
        let features = last.height * last.across();
        scratch.features[0].resize(n * features, 0.0);
        for (at, image) in images.chunks_exact(self.config.pixels()).enumerate() {
            self.normalised(image, &mut scratch.images[0]);
            for step in &self.steps {
                self.step(simd, step, scratch);
            }
            let to = &mut scratch.features[0][at * features..][..features];
            for (y, to) in to.chunks_exact_mut(last.across()).enumerate() {
                to.copy_from_slice(&scratch.images[self.last][last.row(y)..][..last.across()]);
            }
        }
        for Dense { weights, inputs, relu, .. } in &self.dense {
            let [from, to] = &mut scratch.features;
            to.resize(n * weights.width(), 0.0);
            let window = Window { runs: 1, apart: 0, length: *inputs };
            weights.sums(simd, from, window, (n, *inputs), *relu, to);
            scratch.features.swap(0, 1);
        }
    }

    /// Puts an image of channel after channel into the first image.
    #[inline(always)]
    fn normalised(&self, pixels: &[f32], to: &mut [f32]) {
        let image = &self.images[0];
        let Preprocessing { mean, std } = self.config.preprocessing;
        let (mean, std) = (mean as f32, std as f32);
        for (channel, pixels) in pixels.chunks_exact(image.width * image.height).enumerate() {
            for (y, pixels) in pixels.chunks_exact(image.width).enumerate() {
                let to = &mut to[image.row(y)..][..image.across()];
                for (to, pixel) in to.chunks_exact_mut(image.channels).zip(pixels) {
                    to[channel] = (pixel - mean) / std;
                }
            }
        }
    }

    #[inline(always)]
    fn step<S: Simd>(&self, simd: S, step: &Step, scratch: &mut Scratch) {
        let (from, to) = (&self.images[step.from], &self.images[step.to]);
        let mut output = std::mem::take(&mut scratch.images[step.to]);
        let input = &scratch.images[step.from];
        match &step.does {
            Does::Convolution { weights, side, stride, pool } => {
                let window = Window { runs: *side, apart: from.stride(), length: side * from.channels };
                // The window of a pixel begins above it and to its left.
                let begins = |y: usize| {
                    let (reach, corner) = (side / 2, from.row(y * stride));
                    &input[corner - reach * (from.stride() + from.channels)..]
                };
                let step_size = stride * from.channels;
                if *pool {
                    // before the pool, which leaves out an odd last column
                    let across = from.width.div_ceil(*stride);
                    let numbers = across * to.channels;
                    scratch.rows.resize(2 * numbers, 0.0);
                    for y in 0..to.height {
                        let (above, below) = scratch.rows.split_at_mut(numbers);
                        weights.sums(simd, begins(2 * y), window, (across, step_size), false, above);
                        weights.sums(simd, begins(2 * y + 1), window, (across, step_size), false, below);
                        let output = &mut output[to.row(y)..][..to.across()];
                        maxima(simd, [above, below], to.channels, step.relu, output);
                    }
                } else {
                    for y in 0..to.height {
                        let output = &mut output[to.row(y)..][..to.across()];
                        weights.sums(simd, begins(y), window, (to.width, step_size), step.relu, output);
                    }
                }
            }
            Does::Norm { weight, bias, channels } => {
                normalise(from, input, &mut output, (weight, bias, *channels), step.relu);
            }
            Does::Add => {
                for y in 0..to.height {
                    let output = &mut output[to.row(y)..][..to.across()];
                    for (to, number) in output.iter_mut().zip(&input[from.row(y)..][..from.across()]) {
                        let sum = *to + number;
                        *to = if step.relu { sum.max(0.0) } else { sum };
                    }
                }
            }
        }
        scratch.images[step.to] = output;
    }
}

/// The maximum of every 2 × 2 pixels of two rows.
#[inline(always)]
fn maxima<S: Simd>(simd: S, [above, below]: [&[f32]; 2], channels: usize, relu: bool, to: &mut [f32]) {
    let least = S::f32s::splat(simd, if relu { 0.0 } else { f32::NEG_INFINITY });
    let pairs = above.chunks_exact(2 * channels).zip(below.chunks_exact(2 * channels));
    for (to, (above, below)) in to.chunks_exact_mut(channels).zip(pairs) {
        let ((a, b), (c, d)) = (above.split_at(channels), below.split_at(channels));
        for (at, to) in to.chunks_exact_mut(S::f32s::LEN).enumerate() {
            let mut largest = least;
            for pixel in [a, b, c, d] {
                let pixel = S::f32s::from_slice(simd, &pixel[at * S::f32s::LEN..][..S::f32s::LEN]);
                largest = largest.max(pixel);
            }
            largest.store_slice(to);
        }
    }
}

/// Normalises each group of channels to mean 0 and variance 1, then scales and shifts each channel.
#[inline(always)]
fn normalise(image: &Image, x: &[f32], to: &mut [f32], (weight, bias, group): (&[f32], &[f32], usize), relu: bool) {
    let rows = || (0..image.height).map(|y| &x[image.row(y)..][..image.across()]);
    let mut means = vec![0.0; image.channels];
    for pixel in rows().flat_map(|row| row.chunks_exact(image.channels)) {
        means.iter_mut().zip(pixel).for_each(|(mean, number)| *mean += number);
    }
    let numbers = (image.height * image.width * group) as f32;
    let together = |sums: &mut [f32]| {
        for sums in sums.chunks_mut(group) {
            let mean = sums.iter().sum::<f32>() / numbers;
            sums.fill(mean);
        }
    };
    together(&mut means);
    let mut variances = vec![0.0; image.channels];
    for pixel in rows().flat_map(|row| row.chunks_exact(image.channels)) {
        for ((variance, mean), number) in variances.iter_mut().zip(&means).zip(pixel) {
            *variance += (number - mean) * (number - mean);
        }
    }
    together(&mut variances);
    // what fills up vectors stays zero
    let (mut scales, mut shifts) = (vec![0.0; image.channels], vec![0.0; image.channels]);
    for (channel, (weight, bias)) in weight.iter().zip(bias).enumerate() {
        scales[channel] = weight / (variances[channel] + EPSILON).sqrt();
        shifts[channel] = bias - means[channel] * scales[channel];
    }
    let least = if relu { 0.0 } else { f32::NEG_INFINITY };
    for (y, row) in rows().enumerate() {
        let to = &mut to[image.row(y)..][..image.across()];
        for (to, pixel) in to.chunks_exact_mut(image.channels).zip(row.chunks_exact(image.channels)) {
            for (((to, number), scale), shift) in to.iter_mut().zip(pixel).zip(&scales).zip(&shifts) {
                *to = (number * scale + shift).max(least);
            }
        }
    }
}

/// Appends the probabilities that scores stand for.
fn softmax(scores: &[f32], to: &mut Vec<f32>) {
    let largest = scores.iter().fold(f32::NEG_INFINITY, |largest, score| largest.max(*score));
    let from = to.len();
    to.extend(scores.iter().map(|score| (score - largest).exp()));
    let sum: f32 = to[from..].iter().sum();
    to[from..].iter_mut().for_each(|number| *number /= sum);
}
