//! What to watch of a classifier: its answers, how sure it is, and where its features lie.

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Stream};

/// Which streams there are for a classifier, and how an answer becomes a row of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Classifier {
    /// The number of classes.
    pub classes: usize,
    /// Whether the true labels are known, at least of some.
    pub labels: bool,
    /// Whether it is known how far the penultimate features are from those of training, at least of some: see [`Distance`].
    pub distance: bool,
    /// Names of the statistics of the inputs, such as `mean`.
    pub inputs: Vec<String>,
}

/// An answer of the classifier.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The probability of each class.
    pub softmax: &'a [f32],
    /// How far the penultimate features are from those of training, if that is known.
    pub distance: Option<f64>,
    /// The true label, if it is known.
    pub label: Option<usize>,
    /// A value for each statistic of the inputs.
    pub inputs: &'a [f64],
}

impl Classifier {
    /// The streams: the predicted class, the confidence, the softmax output of each class, the distance, the label, the inputs. What
    /// answers a question by itself weighs more: half of all is on the classes and the confidence.
    #[must_use]
    pub fn streams(&self) -> Vec<Stream> {
        let mut streams = vec![Stream::classes("predicted", self.classes, 4.0), Stream::numbers("confidence", 2.0)];
        let each = 2.0 / self.classes as f64;
        streams.extend((0..self.classes).map(|class| Stream::numbers(format!("softmax[{class}]"), each)));
        if self.distance {
            streams.push(Stream::numbers("distance", 2.0));
        }
        if self.labels {
            streams.push(Stream::classes("label", self.classes, 4.0));
        }
        streams.extend(self.inputs.iter().map(|name| Stream::numbers(name.clone(), 1.0)));
        streams
    }

    /// The row of an answer, a value for each of the streams.
    ///
    /// # Errors
    /// When the answer has another number of classes or statistics.
    pub fn row(&self, answer: &Answer<'_>) -> Result<Vec<f64>> {
        let fits = |found: usize, expected: usize| {
            if found == expected { Ok(()) } else { Err(Error::Row { found, expected }) }
        };
        fits(answer.softmax.len(), self.classes)?;
        fits(answer.inputs.len(), self.inputs.len())?;
        let (predicted, confidence) = most(answer.softmax);
        let mut row = vec![predicted as f64, confidence];
        row.extend(answer.softmax.iter().copied().map(f64::from));
        if self.distance {
            row.push(answer.distance.unwrap_or(f64::NAN));
        }
        if self.labels {
            row.push(answer.label.map_or(f64::NAN, |label| label as f64));
        }
        row.extend(answer.inputs);
        Ok(row)
    }
}

/// The class with the largest probability, and this probability. The first, if several are as large.
#[must_use]
pub fn most(softmax: &[f32]) -> (usize, f64) {
    let first = (0, f64::NEG_INFINITY);
    softmax.iter().enumerate().fold(first, |best, (class, &value)| {
        let value = f64::from(value);
        if value > best.1 { (class, value) } else { best }
    })
}

/// How far features are from the nearest class: Mahalanobis' distance to its mean, with one covariance for all classes (Lee et al., "A
/// Simple Unified Framework for Detecting Out-of-Distribution Samples", 2018).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Distance {
    /// The mean of each class, in whitened features.
    means: Vec<Vec<f64>>,
    /// The inverse of the covariance's lower Cholesky factor, row by row up to the diagonal: it whitens.
    whitening: Vec<Vec<f64>>,
}

impl Distance {
    /// From features with their classes. They must not be those of the reference: the training data are right for it.
    ///
    /// # Errors
    /// When there are fewer rows than features, the rows have different lengths, a feature is not finite, or a class is not below `classes`.
    pub fn fit<R: AsRef<[f32]>>(features: &[R], labels: &[usize], classes: usize) -> Result<Self> {
        let width = features.first().map_or(0, |row| row.as_ref().len());
        if width == 0 || features.len() <= width || labels.len() != features.len() {
            let found = features.len().min(labels.len());
            return Err(Error::TooFew { what: "the training data".to_owned(), found, needed: width + 1 });
        }
        let mut means = vec![vec![0.0; width]; classes];
        let mut counts = vec![0.0; classes];
        for (row, &label) in features.iter().zip(labels) {
            let row = row.as_ref();
            check(row, width)?;
            if label >= classes {
                let (stream, last) = ("label".to_owned(), classes.saturating_sub(1));
                return Err(Error::Class { stream, value: label as f64, last });
            }
            counts[label] += 1.0;
            for (mean, &value) in means[label].iter_mut().zip(row) {
                *mean += f64::from(value);
            }
        }
        for (mean, &count) in means.iter_mut().zip(&counts) {
            mean.iter_mut().for_each(|value| *value /= f64::max(count, 1.0));
        }
        let mut covariance = vec![vec![0.0; width]; width];
        for (row, &label) in features.iter().zip(labels) {
            let centred: Vec<f64> =
                row.as_ref().iter().zip(&means[label]).map(|(&value, mean)| f64::from(value) - mean).collect();
            for (line, &a) in covariance.iter_mut().zip(&centred) {
                for (sum, &b) in line.iter_mut().zip(&centred) {
                    *sum += a * b / features.len() as f64;
                }
            }
        }
        // A feature that is always zero must not divide by zero: a hundredth of the mean variance is added to each.
        let trace: f64 = (0..width).map(|index| covariance[index][index]).sum();
        let ridge = (0.01 * trace / width as f64).max(f64::MIN_POSITIVE);
        (0..width).for_each(|index| covariance[index][index] += ridge);
        let whitening = inverse_factor(&covariance);
        // a class without data has no mean that could be near
        let means = means.iter().zip(&counts).filter(|(_, count)| **count > 0.0);
        let means = means.map(|(mean, _)| whiten(&whitening, mean.iter().copied())).collect();
        Ok(Self { means, whitening })
    }

    /// The number of features.
    #[must_use]
    pub fn features(&self) -> usize {
        self.whitening.len()
    }

    /// The distance of features.
    ///
    /// # Errors
    /// When there are not as many as it was fitted to, or one is not finite.
    pub fn of(&self, features: &[f32]) -> Result<f64> {
        check(features, self.features())?;
        let white = whiten(&self.whitening, features.iter().copied().map(f64::from));
        let squares = self.means.iter().map(|mean| mean.iter().zip(&white).map(|(a, b)| (a - b).powi(2)).sum::<f64>());
        // finite, even if all features were the same in training and now are not
        Ok(squares.fold(f64::MAX, f64::min).sqrt())
    }
}

/// Fails unless these are so many finite features.
fn check(features: &[f32], expected: usize) -> Result<()> {
    if features.len() != expected {
        return Err(Error::Row { found: features.len(), expected });
    }
    match features.iter().find(|feature| !feature.is_finite()) {
        Some(&value) => Err(Error::Range { what: "a feature", value: value.into(), allowed: "finite" }),
        None => Ok(()),
    }
}

fn whiten(whitening: &[Vec<f64>], values: impl Iterator<Item = f64>) -> Vec<f64> {
    let values: Vec<f64> = values.collect();
    whitening.iter().map(|row| row.iter().zip(&values).map(|(weight, value)| weight * value).sum()).collect()
}

/// The inverse of the lower factor of a positive definite matrix, by Cholesky and forward substitution.
fn inverse_factor(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let width = matrix.len();
    let mut factor = vec![vec![0.0; width]; width];
    for i in 0..width {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| factor[i][k] * factor[j][k]).sum();
            factor[i][j] = if i == j { (matrix[i][i] - sum).sqrt() } else { (matrix[i][j] - sum) / factor[j][j] };
        }
    }
    let mut inverse: Vec<Vec<f64>> = Vec::with_capacity(width);
    for (row, factors) in factor.iter().enumerate() {
        let scale = 1.0 / factors[row];
        let before = |column: usize| (column..row).map(|k| factors[k] * inverse[k][column]).sum::<f64>();
        let line = (0..row).map(|column| -scale * before(column)).chain([scale]).collect();
        inverse.push(line);
    }
    inverse
}

/// Statistics of a grey picture of one thing, such as a digit, that corruptions move.
pub mod picture {
    /// Their names: the mean and the standard deviation of the brightness from 0 to 1, the mean difference between neighbours, and from
    /// the moments of the brightness: how far its centre is from the middle and how far it spreads, in pixels, and the correlation of
    /// rows and columns, from -1 to 1.
    pub const STATISTICS: [&str; 6] = ["mean", "contrast", "sharpness", "offset", "spread", "slant"];

    /// The statistics of a picture: rows of `width` pixels from the top.
    #[must_use]
    pub fn statistics(pixels: &[u8], width: usize) -> [f64; 6] {
        let width = width.max(1);
        let count = pixels.len().max(1) as f64;
        let bright = |&pixel: &u8| f64::from(pixel) / 255.0;
        let sum = pixels.iter().map(bright).sum::<f64>();
        let mean = sum / count;
        let variance = pixels.iter().map(|pixel| (bright(pixel) - mean).powi(2)).sum::<f64>() / count;
        let (mut edges, mut pairs) = (0.0, 0.0);
        for (index, pixel) in pixels.iter().enumerate() {
            let right = (index % width + 1 < width).then(|| pixels.get(index + 1)).flatten();
            for other in [right, pixels.get(index + width)].into_iter().flatten() {
                edges += f64::from(pixel.abs_diff(*other)) / 255.0;
                pairs += 1.0;
            }
        }
        let [offset, spread, slant] = moments(pixels, width, sum);
        [mean, variance.sqrt(), if pairs > 0.0 { edges / pairs } else { 0.0 }, offset, spread, slant]
    }

    /// Zero for a picture that is black.
    fn moments(pixels: &[u8], width: usize, sum: f64) -> [f64; 3] {
        if sum == 0.0 {
            return [0.0; 3];
        }
        let middle = ((pixels.len() / width) as f64 / 2.0 - 0.5, width as f64 / 2.0 - 0.5);
        let average = |value: &dyn Fn(f64, f64) -> f64| {
            let place = |index: usize| ((index / width) as f64 - middle.0, (index % width) as f64 - middle.1);
            let weighted = pixels.iter().enumerate().filter(|(_, pixel)| **pixel > 0).map(|(index, &pixel)| {
                let (down, right) = place(index);
                f64::from(pixel) / 255.0 * value(down, right)
            });
            weighted.sum::<f64>() / sum
        };
        let (y, x) = (average(&|down, _| down), average(&|_, right| right));
        let (tall, wide) = (average(&|down, _| (down - y).powi(2)), average(&|_, right| (right - x).powi(2)));
        let both = average(&|down, right| (down - y) * (right - x));
        let slant = if tall * wide > 0.0 { both / (tall * wide).sqrt() } else { 0.0 };
        [y.hypot(x), (tall + wide).sqrt(), slant]
    }
}
