//! Evaluates a model on held-out images.

use slipway_model::Model;
use tch::Kind;

use crate::failure::Result;
use crate::images::Images;
use crate::workers::Workers;

const BATCH: usize = 250;

/// One image that the model got wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mistake {
    /// The image's index in the split.
    pub(crate) index: usize,
    /// Its label.
    pub(crate) label: usize,
    /// The model's answer.
    pub(crate) answer: usize,
    /// The probability that the model gave its answer, 0..1.
    pub(crate) probability: f32,
}

/// A model's results on a split.
#[derive(Clone, Debug)]
pub(crate) struct Evaluation {
    /// The share of right answers; NaN if some probability is not finite.
    pub(crate) accuracy: f64,
    /// Images by label and answer: classes × classes, one row a label.
    pub(crate) confusion: Vec<Vec<u32>>,
    /// Every mistake, the most confident first.
    pub(crate) mistakes: Vec<Mistake>,
}

/// The accuracy over all images, of which each worker evaluates a part. NaN if some probability is not finite. Calls `between` between two batches.
pub(crate) fn accuracy(
    model: &Model,
    images: &Images,
    workers: &Workers,
    between: impl FnMut() -> Result<()>,
) -> Result<f64> {
    let part = workers.part(images.count);
    let mut right = 0.0;
    let visit = |_: usize, label: usize, answer: usize, probability: f32| {
        right += if !probability.is_finite() {
            f64::NAN
        } else if label == answer {
            1.0
        } else {
            0.0
        };
    };
    each_answer(model, images, part, visit, between)?;
    let right = workers.sum(&[right])?;
    Ok(right[0] / images.count as f64)
}

/// Evaluates a whole split on one worker.
pub(crate) fn evaluate(model: &Model, images: &Images) -> Result<Evaluation> {
    let classes = model.config().classes as usize;
    let mut confusion = vec![vec![0u32; classes]; classes];
    let mut mistakes = Vec::new();
    let mut right = 0.0;
    let visit = |index: usize, label: usize, answer: usize, probability: f32| {
        confusion[label][answer] += 1;
        if !probability.is_finite() {
            right = f64::NAN;
        } else if label == answer {
            right += 1.0;
        }
        if label != answer {
            mistakes.push(Mistake { index, label, answer, probability });
        }
    };
    each_answer(model, images, 0..images.count, visit, || Ok(()))?;
    mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.index.cmp(&b.index)));
    Ok(Evaluation { accuracy: right / images.count as f64, confusion, mistakes })
}

/// Calls `visit` with each image's index, label, answer and the answer's probability.
fn each_answer(
    model: &Model,
    images: &Images,
    part: std::ops::Range<usize>,
    mut visit: impl FnMut(usize, usize, usize, f32),
    mut between: impl FnMut() -> Result<()>,
) -> Result<()> {
    let mut start = part.start;
    while start < part.end {
        if start > part.start {
            between()?;
        }
        let length = BATCH.min(part.end - start);
        let (pixels, labels) = images.range(start, length)?;
        let (probabilities, answers) = model.probabilities(&pixels)?.f_max_dim(1, false)?;
        let labels = Vec::<i64>::try_from(labels)?;
        let answers = Vec::<i64>::try_from(answers.f_to_kind(Kind::Int64)?)?;
        let probabilities = Vec::<f32>::try_from(probabilities)?;
        for (i, ((label, answer), probability)) in labels.into_iter().zip(answers).zip(probabilities).enumerate() {
            visit(start + i, label as usize, answer as usize, probability);
        }
        start += length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use slipway_model::{Architecture, Config};

    use super::*;
    use crate::synthetic::synthetic;

    #[test]
    fn parts_add_up_to_the_whole() {
        let model = Model::new(&Config::mnist(Architecture::Mlp, 0.0), 1).unwrap();
        let images = synthetic(501, 3).unwrap();
        let whole = evaluate(&model, &images).unwrap();
        let alone = Workers { rank: 0, world_size: 1, group: None, rank_0: None };
        assert_eq!(accuracy(&model, &images, &alone, || Ok(())).unwrap(), whole.accuracy);
        assert_eq!(whole.confusion.iter().flatten().sum::<u32>(), 501);
        let right: u32 = (0..10).map(|i| whole.confusion[i][i]).sum();
        assert_eq!(whole.mistakes.len() as u32, 501 - right);
        assert!(whole.mistakes.windows(2).all(|w| w[0].probability >= w[1].probability));
        let covered: usize =
            (0..3).map(|rank| Workers { rank, world_size: 3, group: None, rank_0: None }.part(501).len()).sum();
        assert_eq!(covered, 501);
    }

    #[test]
    fn a_model_of_nan_has_no_accuracy() {
        let model = Model::new(&Config::mnist(Architecture::Mlp, 0.0), 1).unwrap();
        tch::no_grad(|| {
            let mut weight = model.named_parameters()[0].1.shallow_clone();
            let _ = weight.fill_(f64::NAN);
        });
        assert!(evaluate(&model, &synthetic(10, 3).unwrap()).unwrap().accuracy.is_nan());
    }
}
