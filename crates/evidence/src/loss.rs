//! Does it matter? What the version in service loses on what is new.

use std::ops::Range;

use serde::Serialize;
use slipway_corruptions::{Corruption, PIXELS, SIDE};
use slipway_drift::{Calibration, Distance, Example, Outlook, upper_bound};
use slipway_experiment::{Monitor, Retrain};

use crate::{Answers, Classify, Pictures, Result};

/// The chance that an interval of a measured accuracy does not hold the true one, on each side.
const OUTSIDE: f64 = 0.025;
/// Pictures of the reference that are corrupted in each way, for the estimate.
const EXAMPLES: usize = 128;
/// With fewer labelled pictures of the reference nothing is estimated.
const FEWEST: usize = 10;
/// How strongly.
const STRENGTHS: [f64; 2] = [0.5, 1.0];
/// The loss that matters if nothing is declared.
const DEFAULT_LOSS: f64 = 0.02;

/// An accuracy that was measured: with labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// Labelled pictures.
    pub of: usize,
    /// Those whose answer is the label.
    pub right: usize,
    /// The share, 0 to 1.
    pub accuracy: f64,
    /// The exact interval that holds the true one with 95 % (Clopper and Pearson).
    pub interval: (f64, f64),
}

/// An accuracy that was estimated, without labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimated {
    /// Pictures.
    pub of: usize,
    /// The estimate, 0 to 1.
    pub accuracy: f64,
    /// Two standard errors to each side. After a strong change the truth may be outside: docs/continuous-training.md has by how much.
    pub interval: (f64, f64),
    /// Whether it has learned from corrupted pictures; otherwise it knows only those that are usual.
    pub learned: bool,
}

/// Without an alarm so many of the newest items are looked at: of all that ever came, a loss of today would be lost among what was well.
pub(crate) const NEWEST: usize = 2000;

/// What the version in service loses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    /// Its accuracy on the reference.
    pub reference: Measured,
    /// How many new items it is about: those from the window of the first alarm on, without an alarm the newest 2,000.
    pub items: usize,
    /// Its accuracy on those of them that have labels.
    pub measured: Option<Measured>,
    /// Its accuracy on them, as if there were no labels.
    pub estimated: Option<Estimated>,
    /// The loss: the reference's accuracy less that on what is new, measured if there are labels, otherwise estimated.
    pub loss: f64,
    /// The loss that is certain: up to the upper end of the interval.
    pub certain: f64,
    /// From which certain loss on it matters.
    pub threshold: f64,
    /// Whether it matters.
    pub matters: bool,
}

impl Measured {
    /// Of so many, so many right; `None` of none.
    #[must_use]
    pub fn new(right: usize, of: usize) -> Option<Self> {
        if of == 0 {
            return None;
        }
        let (low, high) = (1.0 - upper_bound(of - right, of, OUTSIDE), upper_bound(right, of, OUTSIDE));
        Some(Self { of, right, accuracy: right as f64 / of as f64, interval: (low, high) })
    }

    /// By the labels of these pictures; `None` if none of them has one.
    pub(crate) fn by(pictures: &Pictures, answers: &Answers, of: Range<usize>) -> Option<Self> {
        let labelled = of.filter_map(|number| Some((number, pictures.labels.get(number).copied().flatten()?)));
        let (right, of) = labelled.fold((0, 0), |(right, of), (number, label)| {
            (right + usize::from(answers.is_right(number, label)), of + 1)
        });
        Self::new(right, of)
    }
}

impl Loss {
    /// What is lost against the reference, by labels if there are any, otherwise by the estimate; `None` if there is neither.
    pub(crate) fn new(
        reference: Measured,
        items: usize,
        measured: Option<Measured>,
        estimated: Option<Estimated>,
        threshold: f64,
    ) -> Option<Self> {
        let now = measured.map(|measured| (measured.accuracy, measured.interval.1));
        let (accuracy, highest) = now.or(estimated.map(|estimated| (estimated.accuracy, estimated.interval.1)))?;
        let certain = reference.accuracy - highest;
        Some(Self {
            reference,
            items,
            measured,
            estimated,
            loss: reference.accuracy - accuracy,
            certain,
            threshold,
            matters: certain >= threshold,
        })
    }
}

/// From which certain loss on it matters, as a share of accuracy.
#[must_use]
pub fn threshold(monitor: &Monitor) -> f64 {
    monitor.retrain.as_ref().map_or(DEFAULT_LOSS, Retrain::loss)
}

/// Which of so many new items the loss is about. `alarm` is the first one of the window in which the first alarm was.
pub(crate) fn about(new: usize, alarm: Option<usize>) -> Range<usize> {
    alarm.unwrap_or_else(|| new.saturating_sub(NEWEST)).min(new)..new
}

/// What the model loses on these of the new pictures; `None` if there are none, or the reference has no labels. `distance` is that of the answers.
pub(crate) async fn loss(
    model: &(impl Classify + Sync),
    distance: Option<&Distance>,
    [reference, new]: [&Pictures; 2],
    [known, answers]: [&Answers; 2],
    of: Range<usize>,
    threshold: f64,
) -> Result<Option<Loss>> {
    let Some(usual) = Measured::by(reference, known, 0..reference.len()) else { return Ok(None) };
    let measured = Measured::by(new, answers, of.clone());
    let window: Vec<Vec<f64>> = of.map(|number| scores(answers, number)).collect();
    let mut estimated = None;
    if !window.is_empty()
        && let Some(estimator) = Estimator::fit(model, distance, reference, known).await?
    {
        estimated = Some(estimator.estimate(&window)?);
    }
    Ok(Loss::new(usual, window.len(), measured, estimated, threshold))
}

/// What estimates the accuracy from answers alone: from the confidence, and from the distance of the features if there is one.
#[derive(Clone, Debug)]
pub(crate) enum Estimator {
    /// It has learned from corrupted pictures of the reference, where there are corruptions of such pictures.
    Learned(Outlook),
    /// It knows only answers to pictures as they usually are.
    Calibrated(Calibration),
}

impl Estimator {
    /// Learns from pictures with the model's answers to them; `None` if too few of them have labels. `distance` is that of the answers.
    pub(crate) async fn fit(
        model: &(impl Classify + Sync),
        distance: Option<&Distance>,
        reference: &Pictures,
        known: &Answers,
    ) -> Result<Option<Self>> {
        let labelled = |number: usize| Some((number, reference.labels.get(number).copied().flatten()?));
        let labelled: Vec<(usize, u8)> = (0..reference.len()).filter_map(labelled).collect();
        let usual: Vec<Vec<f64>> = labelled.iter().map(|(number, _)| scores(known, *number)).collect();
        let right: Vec<bool> = labelled.iter().map(|(number, label)| known.is_right(*number, *label)).collect();
        if usual.len() < FEWEST {
            return Ok(None);
        }
        if reference.shape != [SIDE, SIDE] {
            return Ok(Some(Self::Calibrated(Calibration::fit(&usual, &right, &[])?)));
        }
        let corrupted = corrupted(&reference.first(EXAMPLES));
        let mut examples = Vec::with_capacity(corrupted.len());
        for (kind, pictures) in &corrupted {
            let answers = model.answers(pictures, distance).await?;
            let scores: Vec<Vec<f64>> = (0..answers.len()).map(|number| scores(&answers, number)).collect();
            let labels = pictures.labels.iter().enumerate();
            let right: Vec<bool> =
                labels.map(|(number, label)| label.is_some_and(|label| answers.is_right(number, label))).collect();
            examples.push((*kind, scores, right));
        }
        let examples: Vec<Example<'_>> =
            examples.iter().map(|(kind, scores, right)| Example { kind, scores, right }).collect();
        Ok(Some(Self::Learned(Outlook::fit(&usual, &right, &examples)?)))
    }

    /// The accuracy on answers with these scores, of which there must be some.
    pub(crate) fn estimate(&self, window: &[Vec<f64>]) -> Result<Estimated> {
        let (estimate, learned) = match self {
            Self::Learned(outlook) => (outlook.estimate(window)?, true),
            Self::Calibrated(calibration) => (calibration.estimate(window)?, false),
        };
        Ok(Estimated { of: window.len(), accuracy: estimate.accuracy, interval: estimate.interval(), learned })
    }
}

/// The pictures, corrupted in every way.
fn corrupted(pictures: &Pictures) -> Vec<(&'static str, Pictures)> {
    let mut all = Vec::new();
    for corruption in Corruption::ALL {
        for strength in STRENGTHS {
            let mut corrupted = Pictures::new(pictures.shape);
            for (seed, (levels, label)) in (0..).zip(pictures.each().zip(&pictures.labels)) {
                if let Ok(levels) = <&[u8; PIXELS]>::try_from(levels) {
                    corrupted.push(&corruption.apply(levels, strength, seed), *label);
                }
            }
            all.push((corruption.name(), corrupted));
        }
    }
    all
}

fn scores(answers: &Answers, number: usize) -> Vec<f64> {
    scores_of(answers.most(number).1, answers.distance(number))
}

/// What an [`Estimator`] knows of an answer: its confidence as a logit, and the logarithm of the distance if there is one, as the study of
/// docs/continuous-training.md has them.
pub(crate) fn scores_of(confidence: f64, distance: Option<f64>) -> Vec<f64> {
    let confidence = confidence.clamp(1e-7, 1.0 - 1e-7);
    let distance = distance.map(|distance| distance.max(1e-3).ln());
    std::iter::once((confidence / (1.0 - confidence)).ln()).chain(distance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accuracy_has_an_exact_interval() {
        let measured = Measured::new(95, 100).unwrap();
        // binom.test(95, 100) of R
        assert!((measured.interval.0 - 0.887_165_1).abs() < 1e-6, "{measured:?}");
        assert!((measured.interval.1 - 0.983_568_1).abs() < 1e-6, "{measured:?}");
        assert_eq!(Measured::new(3, 3).unwrap().interval.1, 1.0);
        assert_eq!(Measured::new(0, 0), None);
    }

    #[test]
    fn a_loss_is_about_what_is_since_the_alarm_or_else_the_newest() {
        assert_eq!(about(20_300, Some(20_000)), 20_000..20_300);
        assert_eq!(about(20_300, None), 18_300..20_300);
        assert_eq!((about(300, None), about(0, None)), (0..300, 0..0));
    }
}
