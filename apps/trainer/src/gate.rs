//! Whether a trained model may be registered.

use slipway_experiment::{Metric, Register, Unmet};

use crate::failure::{Failure, Result};

/// The gate's decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Every bound is met.
    Passed,
    /// These bounds are not met.
    Refused(Vec<Unmet>),
}

/// The metrics that a gate can ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metrics {
    /// On the test split.
    pub(crate) accuracy: Option<f64>,
    /// On the validation split, after the last epoch.
    pub(crate) validation_accuracy: Option<f64>,
}

/// Compares metrics with what the trial requires.
///
/// A metric that misses its bound is a valid result. A metric that is missing or not a number is a failure, because nothing is known
/// about the model.
pub(crate) fn judge(register: &Register, metrics: Metrics) -> Result<Verdict> {
    let mut refused = Vec::new();
    for (metric, bound) in &register.require {
        let value = match metric.as_str() {
            Metric::ACCURACY => metrics.accuracy,
            Metric::VALIDATION_ACCURACY => metrics.validation_accuracy,
            _ => None,
        };
        let Some(value) = value else {
            return Err(unknown(metric, "missing"));
        };
        if !value.is_finite() {
            return Err(unknown(metric, &value.to_string()));
        }
        if !bound.met_by(value) {
            refused.push(Unmet { metric: metric.clone(), value, bound: *bound });
        }
    }
    Ok(if refused.is_empty() { Verdict::Passed } else { Verdict::Refused(refused) })
}

fn unknown(metric: &Metric, found: &str) -> Failure {
    Failure::Gate(format!(
        "the gate requires {metric}, which is {found}, so nothing is registered: look at the run's loss, and lower \
         training.optimizer.learningRate if it diverged"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register() -> Register {
        Register {
            model: "mnist".into(),
            require: [("accuracy".parse().unwrap(), ">= 0.97".parse().unwrap())].into_iter().collect(),
        }
    }

    fn with(accuracy: Option<f64>) -> Metrics {
        Metrics { accuracy, validation_accuracy: None }
    }

    #[test]
    fn a_number_passes_or_is_refused() {
        assert_eq!(judge(&register(), with(Some(0.97))).unwrap(), Verdict::Passed);
        let Verdict::Refused(unmet) = judge(&register(), with(Some(0.9699))).unwrap() else { panic!() };
        assert_eq!(unmet.len(), 1);
        assert_eq!(unmet[0].to_string(), "accuracy is 0.9699, but >= 0.97 is required");
    }

    #[test]
    fn a_missing_number_is_a_failure() {
        for accuracy in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            assert!(matches!(judge(&register(), with(accuracy)), Err(Failure::Gate(_))), "{accuracy:?}");
        }
    }
}
