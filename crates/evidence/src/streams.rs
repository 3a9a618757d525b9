//! What is watched of a picture, and of the model's answer to it.

use slipway_drift::{Answer, Classifier, Stream, picture};

use crate::loss::scores_of;
use crate::{Answers, Pictures, Result};

/// Where the confidence stands in a row with an answer. The probability of each class follows it, then the distance.
const CONFIDENCE: usize = 1;

/// What is watched: statistics of the picture, its label, and with a model its answer and how far its features are from those of training.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    classes: usize,
    classifier: Option<Classifier>,
}

impl Streams {
    /// With a model, its answers are watched, too, and with a distance that of its features.
    pub(crate) fn new(classes: usize, has_model: bool, distance: bool) -> Self {
        let inputs = picture::STATISTICS.map(str::to_owned).to_vec();
        let classifier = has_model.then_some(Classifier { classes, labels: true, distance, inputs });
        Self { classes, classifier }
    }

    /// Of requests, which have answers and no labels.
    pub(crate) fn of_requests(classes: usize, distance: bool) -> Self {
        let inputs = picture::STATISTICS.map(str::to_owned).to_vec();
        Self { classes, classifier: Some(Classifier { classes, labels: false, distance, inputs }) }
    }

    pub(crate) fn all(&self) -> Vec<Stream> {
        match &self.classifier {
            Some(classifier) => classifier.streams(),
            None => {
                let inputs = picture::STATISTICS.iter().map(|name| Stream::numbers(*name, 1.0));
                std::iter::once(Stream::classes("label", self.classes, 4.0)).chain(inputs).collect()
            }
        }
    }

    /// What the estimate of the accuracy knows of a row with an answer; `None` if the row lacks the distance, which others have.
    pub(crate) fn scores(&self, row: &[f64]) -> Option<Vec<f64>> {
        let confidence = *row.get(CONFIDENCE)?;
        if !self.classifier.as_ref().is_some_and(|classifier| classifier.distance) {
            return Some(scores_of(confidence, None));
        }
        let distance = row.get(CONFIDENCE + 1 + self.classes).copied().filter(|distance| !distance.is_nan())?;
        Some(scores_of(confidence, Some(distance)))
    }

    /// The rows of pictures, one value for each stream; NaN for a label or a distance that is not known.
    pub(crate) fn rows(&self, pictures: &Pictures, answers: Option<&Answers>) -> Result<Vec<Vec<f64>>> {
        let width = pictures.shape[1];
        let each = pictures.each().zip(&pictures.labels).enumerate();
        each.map(|(number, (levels, label))| {
            let inputs = picture::statistics(levels, width);
            match (&self.classifier, answers) {
                (Some(classifier), Some(answers)) => {
                    let softmax = answers.get(number);
                    let (distance, label) = (answers.distance(number), label.map(usize::from));
                    Ok(classifier.row(&Answer { softmax, distance, label, inputs: &inputs })?)
                }
                _ => {
                    let label = label.map_or(f64::NAN, f64::from);
                    Ok(std::iter::once(label).chain(inputs).collect())
                }
            }
        })
        .collect()
    }
}
