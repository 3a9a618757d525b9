//! What is watched of a picture, and of the model's answer to it.

use slipway_drift::{Answer, Classifier, Stream, picture};

use crate::{Answers, Pictures, Result};

/// What is watched: statistics of the picture, its label, and with a model its answer.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    classes: usize,
    classifier: Option<Classifier>,
}

impl Streams {
    /// With a model, its answers are watched, too.
    pub(crate) fn new(classes: usize, has_model: bool) -> Self {
        let inputs = picture::STATISTICS.map(str::to_owned).to_vec();
        let classifier = has_model.then_some(Classifier { classes, labels: true, distance: None, inputs });
        Self { classes, classifier }
    }

    /// Of requests, which have answers and no labels.
    pub(crate) fn of_requests(classes: usize) -> Self {
        let inputs = picture::STATISTICS.map(str::to_owned).to_vec();
        Self { classes, classifier: Some(Classifier { classes, labels: false, distance: None, inputs }) }
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

    /// The rows of pictures, one value for each stream; NaN for a label that is not known.
    pub(crate) fn rows(&self, pictures: &Pictures, answers: Option<&Answers>) -> Result<Vec<Vec<f64>>> {
        let width = pictures.shape[1];
        let each = pictures.each().zip(&pictures.labels).enumerate();
        each.map(|(number, (levels, label))| {
            let inputs = picture::statistics(levels, width);
            match (&self.classifier, answers) {
                (Some(classifier), Some(answers)) => {
                    let softmax = answers.get(number);
                    let answer = Answer { softmax, features: &[], label: label.map(usize::from), inputs: &inputs };
                    Ok(classifier.row(&answer)?)
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
