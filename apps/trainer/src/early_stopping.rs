//! When training ends before its last epoch, and which weights it keeps.

use slipway_model::Model;

use crate::failure::Result;

/// Watches the accuracy on the validation split.
#[derive(Debug)]
pub(crate) struct EarlyStopping {
    patience: usize,
    /// Epochs since the best one.
    waited: usize,
    best: Option<Best>,
}

/// The best epoch so far; of several with the same accuracy, the first.
#[derive(Debug)]
pub(crate) struct Best {
    pub(crate) epoch: usize,
    pub(crate) validation_accuracy: f64,
    /// A copy of the weights after that epoch.
    pub(crate) model: Model,
}

impl EarlyStopping {
    /// Training ends after `patience` epochs in a row that are not better than the best one before them.
    pub(crate) fn new(patience: usize) -> Self {
        Self { patience, waited: 0, best: None }
    }

    /// Takes the result of an epoch, and says whether training is over.
    pub(crate) fn is_over(&mut self, epoch: usize, validation_accuracy: f64, model: &Model) -> Result<bool> {
        // NaN is not better than anything
        let is_better = self
            .best
            .as_ref()
            .map_or(!validation_accuracy.is_nan(), |best| validation_accuracy > best.validation_accuracy);
        if is_better {
            self.best = Some(Best { epoch, validation_accuracy, model: model.frozen()? });
            self.waited = 0;
        } else {
            self.waited += 1;
        }
        Ok(self.waited >= self.patience)
    }

    /// The best epoch; `None` if no epoch had an accuracy.
    pub(crate) fn best(self) -> Option<Best> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use slipway_model::{Architecture, Config};

    use super::*;

    /// The epoch after which training ends, and the one whose weights are kept.
    fn outcome(patience: usize, accuracies: &[f64]) -> (Option<usize>, Option<usize>) {
        let model = Model::new(&Config::mnist(Architecture::Mlp, 0.0), 1).unwrap();
        let mut stopping = EarlyStopping::new(patience);
        let end = (0..accuracies.len()).find(|epoch| stopping.is_over(*epoch, accuracies[*epoch], &model).unwrap());
        (end, stopping.best().map(|best| best.epoch))
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
