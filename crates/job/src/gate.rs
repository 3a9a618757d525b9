//! Whether a trained model may be registered.

use slipway_experiment::{Metric, Register, Unmet};
use slipway_mlflow::Tag;
use slipway_names::tag;

use crate::{Failure, Result};

/// The gate's decision.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every bound is met.
    Passed,
    /// These bounds are not met.
    Refused(Vec<Unmet>),
}

impl Verdict {
    /// The tags of a run that say what was decided.
    pub fn tags(&self) -> Vec<Tag> {
        match self {
            Self::Passed => vec![Tag::new(tag::GATE, "passed")],
            Self::Refused(unmet) => {
                vec![Tag::new(tag::GATE, "refused"), Tag::new(tag::GATE_UNMET, serde_json::json!(unmet).to_string())]
            }
        }
    }

    /// Logs what was decided.
    pub fn log(&self) {
        match self {
            Self::Passed => tracing::info!(event = "gate", passed = true),
            Self::Refused(unmet) => {
                let reasons: Vec<_> = unmet.iter().map(ToString::to_string).collect();
                tracing::warn!(event = "gate", passed = false, reason = reasons.join("; "));
            }
        }
    }
}

/// Compares metrics with what the trial requires.
///
/// A metric that misses its bound is a valid result. A metric that is missing or not a number is a failure, because nothing is known
/// about the model.
///
/// # Errors
/// [`Failure::Gate`] for such a metric, with `advice` at the end of its message.
pub fn judge(register: &Register, value: impl Fn(&Metric) -> Option<f64>, advice: &str) -> Result<Verdict> {
    let mut refused = Vec::new();
    for (metric, bound) in &register.require {
        let unknown = |found: &str| {
            Failure::Gate(format!("the gate requires {metric}, which is {found}, so nothing is registered: {advice}"))
        };
        let Some(value) = value(metric) else {
            return Err(unknown("missing"));
        };
        if !value.is_finite() {
            return Err(unknown(&value.to_string()));
        }
        if !bound.met_by(value) {
            refused.push(Unmet { metric: metric.clone(), value, bound: *bound });
        }
    }
    Ok(if refused.is_empty() { Verdict::Passed } else { Verdict::Refused(refused) })
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

    fn judged(accuracy: Option<f64>) -> Result<Verdict> {
        judge(&register(), |_| accuracy, "look at the loss")
    }

    #[test]
    fn a_number_passes_or_is_refused() {
        assert_eq!(judged(Some(0.97)).unwrap(), Verdict::Passed);
        let Verdict::Refused(unmet) = judged(Some(0.9699)).unwrap() else { panic!() };
        assert_eq!(unmet.len(), 1);
        assert_eq!(unmet[0].to_string(), "accuracy is 0.9699, but >= 0.97 is required");
    }

    #[test]
    fn a_missing_number_is_a_failure() {
        for accuracy in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            assert!(matches!(judged(accuracy), Err(Failure::Gate(_))), "{accuracy:?}");
        }
    }
}
