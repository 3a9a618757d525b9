//! Does a drift matter? An estimate of the accuracy without labels.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The probability of being right as a function of scores, such as the confidence and the distance of the features: a logistic
/// regression with a little shrinkage. Averaged over a window it estimates the accuracy there, in the manner of CBPE (Kivimäki et al.,
/// "Confidence-based Estimators for Predictive Performance in Model Monitoring", 2024).
///
/// What makes such an estimate wrong is drift of a kind that the calibration never saw: networks are sure of themselves far from what they
/// were trained on. Two things help, and both are the caller's to give: a score that knows how far that is, and examples that went wrong,
/// such as the reference corrupted in several ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Calibration {
    /// Mean and standard deviation of each score: it is standardised.
    scales: Vec<(f64, f64)>,
    /// Constant, then the weight of each standardised score.
    weights: Vec<f64>,
    /// Covariance of the weights.
    covariance: Vec<Vec<f64>>,
}

/// An estimated accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// The estimate, 0 to 1.
    pub accuracy: f64,
    /// Its standard error: chance in the window and in the calibration. It does not contain that the calibration may not hold any more.
    pub error: f64,
}

impl Estimate {
    /// The interval of two standard errors, within 0 and 1.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        ((self.accuracy - 2.0 * self.error).max(0.0), (self.accuracy + 2.0 * self.error).min(1.0))
    }
}

impl Calibration {
    /// Fits it to scores and whether the answers were right. `weights` says how much each counts; all the same if it is empty.
    ///
    /// # Errors
    /// When there are fewer rows than scores, or rows of different lengths, or a score is not finite.
    pub fn fit<R: AsRef<[f64]>>(scores: &[R], right: &[bool], weights: &[f64]) -> Result<Self> {
        let width = scores.first().map_or(0, |row| row.as_ref().len());
        if scores.len() != right.len() || scores.len() < width + 2 {
            let found = scores.len().min(right.len());
            return Err(Error::TooFew { what: "the calibration".to_owned(), found, needed: width + 2 });
        }
        for row in scores.iter().map(AsRef::as_ref) {
            if row.len() != width {
                return Err(Error::Row { found: row.len(), expected: width });
            }
            if let Some(&value) = row.iter().find(|value| !value.is_finite()) {
                return Err(Error::Range { what: "a score", value, allowed: "finite" });
            }
        }
        let count = scores.len() as f64;
        let scales: Vec<(f64, f64)> = (0..width)
            .map(|column| {
                let values = || scores.iter().map(|row| row.as_ref()[column]);
                let mean = values().sum::<f64>() / count;
                let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
                (mean, if deviation > 0.0 { deviation } else { 1.0 })
            })
            .collect();
        let mut fitted = Self { scales, weights: vec![0.0; width + 1], covariance: Vec::new() };
        let rows: Vec<Vec<f64>> = scores.iter().map(|row| fitted.standard(row.as_ref())).collect();
        let weight = |index: usize| weights.get(index).copied().unwrap_or(1.0);
        // Newton's method; the likelihood is concave, and the shrinkage keeps it so where the answers can be told apart.
        for _ in 0..50 {
            let mut slope = vec![0.0; width + 1];
            let mut bend = vec![vec![0.0; width + 1]; width + 1];
            for (index, (row, &right)) in rows.iter().zip(right).enumerate() {
                let probability = fitted.standardised(row);
                let residual = weight(index) * (f64::from(u8::from(right)) - probability);
                let spread = weight(index) * (probability * (1.0 - probability)).max(1e-9);
                for i in 0..=width {
                    slope[i] += residual * row[i];
                    for j in 0..=width {
                        bend[i][j] += spread * row[i] * row[j];
                    }
                }
            }
            for i in 0..=width {
                // a prior that a weight is some units at most; none for the constant
                let shrinkage = if i == 0 { 1e-6 } else { 0.05 };
                slope[i] -= shrinkage * fitted.weights[i];
                bend[i][i] += shrinkage;
            }
            fitted.covariance = inverse(&bend);
            let step: Vec<f64> = fitted.covariance.iter().map(|row| dot(row, &slope)).collect();
            // no step so long that the exponential runs away
            let length = step.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            let damping = if length > 2.0 { 2.0 / length } else { 1.0 };
            fitted.weights.iter_mut().zip(&step).for_each(|(weight, step)| *weight += damping * step);
            if length < 1e-9 {
                break;
            }
        }
        Ok(fitted)
    }

    /// The probability that an answer with these scores is right.
    ///
    /// # Errors
    /// When there is another number of scores.
    pub fn probability(&self, scores: &[f64]) -> Result<f64> {
        if scores.len() != self.scales.len() {
            return Err(Error::Row { found: scores.len(), expected: self.scales.len() });
        }
        Ok(self.standardised(&self.standard(scores)))
    }

    /// The accuracy in a window, from the scores of its answers.
    ///
    /// # Errors
    /// When the window is empty, or a row has another number of scores.
    pub fn estimate<R: AsRef<[f64]>>(&self, scores: &[R]) -> Result<Estimate> {
        if scores.is_empty() {
            return Err(Error::TooFew { what: "the window".to_owned(), found: 0, needed: 1 });
        }
        let count = scores.len() as f64;
        let (mut sum, mut chance) = (0.0, 0.0);
        let mut gradient = vec![0.0; self.weights.len()];
        for row in scores {
            let probability = self.probability(row.as_ref())?;
            sum += probability;
            chance += probability * (1.0 - probability);
            for (slope, value) in gradient.iter_mut().zip(self.standard(row.as_ref())) {
                *slope += probability * (1.0 - probability) * value / count;
            }
        }
        let calibration: f64 =
            self.covariance.iter().zip(&gradient).map(|(row, slope)| slope * dot(row, &gradient)).sum();
        Ok(Estimate { accuracy: sum / count, error: (chance / count.powi(2) + calibration.max(0.0)).sqrt() })
    }

    /// The standardised scores, after a one for the constant.
    fn standard(&self, scores: &[f64]) -> Vec<f64> {
        let scaled = scores.iter().zip(&self.scales).map(|(score, (mean, deviation))| (score - mean) / deviation);
        std::iter::once(1.0).chain(scaled).collect()
    }

    fn standardised(&self, row: &[f64]) -> f64 {
        1.0 / (1.0 + (-dot(&self.weights, row)).exp())
    }
}

/// A window whose labels are known: for example the reference corrupted in some way.
#[derive(Clone, Copy, Debug)]
pub struct Example<'a> {
    /// What kind of drift it is; how far an estimate can be off is learned from kinds that are left out.
    pub kind: &'a str,
    /// The scores of its answers.
    pub scores: &'a [Vec<f64>],
    /// Whether each answer is right.
    pub right: &'a [bool],
}

/// An estimate of a window's accuracy that has learned from examples of drift: where the averaged probability of a [`Calibration`] is too
/// high because the network is sure of itself on what it does not know, the window's scores as a whole show how strange it is. A ridge
/// regression of the accuracy's logit on the logit of the averaged probability, and on mean and deviation of each score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlook {
    calibration: Calibration,
    ridge: Ridge,
    /// Root mean square of the logit's error for kinds of drift that were left out.
    deviation: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ridge {
    scales: Vec<(f64, f64)>,
    middle: f64,
    weights: Vec<f64>,
}

impl Outlook {
    /// Fits it to the reference, with labels, and to examples of drift.
    ///
    /// # Errors
    /// As [`Calibration::fit`], and when there are fewer than three kinds of examples, or one is empty.
    pub fn fit(scores: &[Vec<f64>], right: &[bool], examples: &[Example<'_>]) -> Result<Self> {
        let calibration = Calibration::fit(scores, right, &[])?;
        let reference = Example { kind: "", scores, right };
        let mut points = Vec::with_capacity(examples.len() + 1);
        for example in examples.iter().chain([&reference]) {
            if example.right.len() != example.scores.len() {
                return Err(Error::Row { found: example.right.len(), expected: example.scores.len() });
            }
            let hits = example.right.iter().filter(|right| **right).count() as f64;
            // half an answer more on each side, so that the logit is finite
            let target = logit((hits + 0.5) / (example.right.len() as f64 + 1.0));
            points.push((example.kind, shape(&calibration, example.scores)?, target));
        }
        let mut kinds: Vec<&str> = examples.iter().map(|example| example.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if kinds.len() < 3 {
            let what = "kinds of drift to learn from".to_owned();
            return Err(Error::TooFew { what, found: kinds.len(), needed: 3 });
        }
        let fit = |without: Option<&str>| {
            let kept = points.iter().filter(|(kind, ..)| Some(*kind) != without);
            Ridge::fit(&kept.map(|(_, shape, target)| (shape.as_slice(), *target)).collect::<Vec<_>>())
        };
        let mut squares = 0.0;
        for kind in kinds {
            let others = fit(Some(kind));
            let these = points.iter().filter(|(other, ..)| *other == kind);
            squares += these.map(|(_, shape, target)| (others.value(shape) - target).powi(2)).sum::<f64>();
        }
        let deviation = (squares / examples.len() as f64).sqrt();
        Ok(Self { ridge: fit(None), calibration, deviation })
    }

    /// The accuracy in a window. The error has what kinds of drift that were left out were off by, and chance in the window.
    ///
    /// # Errors
    /// When the window is empty, or a row has another number of scores.
    pub fn estimate(&self, scores: &[Vec<f64>]) -> Result<Estimate> {
        let accuracy = 1.0 / (1.0 + (-self.ridge.value(&shape(&self.calibration, scores)?)).exp());
        let spread = accuracy * (1.0 - accuracy);
        Ok(Estimate { accuracy, error: ((self.deviation * spread).powi(2) + spread / scores.len() as f64).sqrt() })
    }
}

impl Ridge {
    fn fit(points: &[(&[f64], f64)]) -> Self {
        let count = points.len() as f64;
        let width = points.first().map_or(0, |(shape, _)| shape.len());
        let scales: Vec<(f64, f64)> = (0..width)
            .map(|column| {
                let mean = points.iter().map(|(shape, _)| shape[column]).sum::<f64>() / count;
                let variance = points.iter().map(|(shape, _)| (shape[column] - mean).powi(2)).sum::<f64>() / count;
                (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
            })
            .collect();
        let middle = points.iter().map(|(_, target)| target).sum::<f64>() / count;
        let mut fitted = Self { scales, middle, weights: Vec::new() };
        // a few hundredths for each point: of a hundred examples, three count against any weight
        let mut square = vec![vec![0.0; width]; width];
        (0..width).for_each(|index| square[index][index] = 0.03 * count);
        let mut slope = vec![0.0; width];
        for (shape, target) in points {
            let row = fitted.standard(shape);
            for ((line, slope), &a) in square.iter_mut().zip(&mut slope).zip(&row) {
                *slope += a * (target - middle);
                line.iter_mut().zip(&row).for_each(|(sum, b)| *sum += a * b);
            }
        }
        fitted.weights = inverse(&square).iter().map(|row| dot(row, &slope)).collect();
        fitted
    }

    fn standard(&self, shape: &[f64]) -> Vec<f64> {
        shape.iter().zip(&self.scales).map(|(value, (mean, deviation))| (value - mean) / deviation).collect()
    }

    fn value(&self, shape: &[f64]) -> f64 {
        self.middle + dot(&self.weights, &self.standard(shape))
    }
}

/// What a window's scores look like: the logit of the averaged probability, mean and deviation of each score.
fn shape(calibration: &Calibration, scores: &[Vec<f64>]) -> Result<Vec<f64>> {
    let averaged = calibration.estimate(scores)?.accuracy;
    let count = scores.len() as f64;
    let mut shape = vec![logit(averaged.clamp(1e-4, 1.0 - 1e-4))];
    for column in 0..calibration.scales.len() {
        let mean = scores.iter().map(|row| row[column]).sum::<f64>() / count;
        let variance = scores.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / count;
        shape.extend([mean, variance.sqrt()]);
    }
    Ok(shape)
}

fn logit(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The inverse of a positive definite matrix, by Gauss and Jordan.
fn inverse(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let size = matrix.len();
    let mut rows: Vec<Vec<f64>> = matrix
        .iter()
        .enumerate()
        .map(|(i, row)| row.iter().copied().chain((0..size).map(|j| f64::from(u8::from(i == j)))).collect())
        .collect();
    for pivot in 0..size {
        let scale = rows[pivot][pivot];
        rows[pivot].iter_mut().for_each(|value| *value /= scale);
        let line = rows[pivot].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(index, _)| *index != pivot) {
            let factor = row[pivot];
            row.iter_mut().zip(&line).for_each(|(value, other)| *value -= factor * other);
        }
    }
    rows.into_iter().map(|row| row[size..].to_vec()).collect()
}
