//! When training ends before its last epoch, and which weights it keeps.

use std::sync::Arc;

use crate::failure::Result;

/// Watches the accuracy on the validation split.
#[derive(Clone, Debug)]
pub(crate) struct EarlyStopping {
    patience: usize,
    /// Epochs since the best one.
    pub(crate) waited: usize,
    pub(crate) best: Option<Best>,
}

/// The best epoch so far; of several with the same accuracy, the first.
#[derive(Clone, Debug)]
pub(crate) struct Best {
    pub(crate) epoch: usize,
    pub(crate) validation_accuracy: f64,
    /// A copy of all parameters after that epoch.
    pub(crate) parameters: Arc<[f32]>,
}

impl EarlyStopping {
    /// Training ends after `patience` epochs in a row that are not better than the best one before them.
    pub(crate) fn new(patience: usize) -> Self {
        Self { patience, waited: 0, best: None }
    }

    /// Takes the result of an epoch, and says whether training is over. `parameters` copies them as they are.
    pub(crate) fn is_over(
        &mut self,
        epoch: usize,
        validation_accuracy: f64,
        parameters: impl FnOnce() -> Result<Vec<f32>>,
    ) -> Result<bool> {
        // NaN is not better than anything
        let is_better = self
            .best
            .as_ref()
            .map_or(!validation_accuracy.is_nan(), |best| validation_accuracy > best.validation_accuracy);
        if is_better {
            self.best = Some(Best { epoch, validation_accuracy, parameters: parameters()?.into() });
            self.waited = 0;
        } else {
            self.waited += 1;
        }
        Ok(self.waited >= self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The epoch after which training ends, and the one whose weights are kept.
    fn outcome(patience: usize, accuracies: &[f64]) -> (Option<usize>, Option<usize>) {
        let mut stopping = EarlyStopping::new(patience);
        let over = |epoch: &usize| stopping.is_over(*epoch, accuracies[*epoch], || Ok(vec![*epoch as f32])).unwrap();
        let end = (0..accuracies.len()).find(over);
        let best = stopping.best.map(|best| best.epoch);
        (end, best)
    }

    #[test]
    fn it_waits_for_a_better_epoch_and_keeps_the_first_of_the_best() {
        assert_eq!(outcome(2, &[0.5, 0.7, 0.6, 0.8, 0.8, 0.7, 0.9]), (Some(5), Some(3)));
        assert_eq!(outcome(1, &[0.5, 0.5, 0.9]), (Some(1), Some(0)));
        assert_eq!(outcome(3, &[0.5, 0.6, 0.7]), (None, Some(2)));
    }

    #[test]
    fn an_epoch_without_an_accuracy_is_never_the_best() {
        assert_eq!(outcome(2, &[f64::NAN, f64::NAN, 0.9]), (Some(1), None));
        assert_eq!(outcome(2, &[f64::NAN, 0.4, f64::NAN]), (None, Some(1)));
    }
}
