//! The model, as whoever computes evidence sees it.

use slipway_drift::{Distance, most};

use crate::{Error, Pictures, Result};

/// Something that answers for pictures: the version in service.
pub trait Classify {
    /// The features of each picture, as many for each; `None` if it gives none.
    fn features(&self, pictures: &Pictures) -> impl Future<Output = Result<Option<Vec<Vec<f32>>>>> + Send;

    /// The probability of each class for each picture, one after the other. With a distance, which was learned from its features, also how far those of each
    /// picture are; it is an error if it no longer gives features.
    fn answers(&self, pictures: &Pictures, distance: Option<&Distance>)
    -> impl Future<Output = Result<Answers>> + Send;
}

/// Probabilities of classes, picture by picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// The number of classes.
    pub classes: usize,
    /// `count × classes` probabilities.
    pub probabilities: Vec<f32>,
    /// Whether the model gave other numbers, which were taken for logits.
    pub logits: bool,
    /// How far the features of each picture are from those of training, NaN where they are missing; empty if it is not known of any.
    pub distances: Vec<f64>,
}

impl Answers {
    /// The probabilities for one picture; empty if there is none of this number.
    #[must_use]
    pub fn get(&self, number: usize) -> &[f32] {
        self.probabilities.get(number * self.classes..(number + 1) * self.classes).unwrap_or_default()
    }

    /// How far the features of one picture are from those of training, if that is known.
    #[must_use]
    pub fn distance(&self, number: usize) -> Option<f64> {
        self.distances.get(number).copied().filter(|distance| !distance.is_nan())
    }

    /// How many pictures were answered for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.probabilities.len().checked_div(self.classes).unwrap_or_default()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.probabilities.is_empty()
    }

    /// The most probable class of a picture, and its probability.
    #[must_use]
    pub fn most(&self, number: usize) -> (usize, f64) {
        most(self.get(number))
    }

    /// The answers of a model to pictures of a dataset with so many classes.
    ///
    /// # Errors
    /// [`Error::Unlike`] if it knows another number of classes; if it does not answer.
    pub(crate) async fn of(
        model: &(impl Classify + Sync),
        pictures: &Pictures,
        distance: Option<&Distance>,
        dataset: &str,
        classes: usize,
    ) -> Result<Self> {
        let answers = model.answers(pictures, distance).await?;
        if !pictures.is_empty() && (answers.classes != classes || answers.len() != pictures.len()) {
            return Err(Error::Unlike {
                dataset: dataset.to_owned(),
                what: "classes",
                now: classes.to_string(),
                before: format!("{} by the model's answers", answers.classes),
            });
        }
        Ok(answers)
    }

    /// Whether the answer for a picture is its label.
    pub(crate) fn is_right(&self, number: usize, label: u8) -> bool {
        self.most(number).0 == usize::from(label)
    }
}
