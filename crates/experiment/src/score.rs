//! What versions of a model are compared by.

use serde::{Deserialize, Serialize};

use crate::{Bound, Metric, Register};

/// What a version of a model is compared by with others: its accuracy on test data, or the metric of its program's gate. The tag
/// `slipway.compared-by` of a version holds it as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// The metric, such as `accuracy` or `f1`.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Whether a larger value is a better one.
    pub more_is_better: bool,
}

impl Score {
    /// An accuracy, from 0 to 1.
    pub fn accuracy(value: f64) -> Self {
        Self { metric: Metric::ACCURACY.to_owned(), value, more_is_better: true }
    }

    /// The value of a metric that a gate requires.
    pub fn of_gate(metric: &Metric, bound: &Bound, value: f64) -> Self {
        Self { metric: metric.as_str().to_owned(), value, more_is_better: bound.comparison.more_is_better() }
    }

    /// Whether it is the accuracy.
    pub fn is_accuracy(&self) -> bool {
        self.metric == Metric::ACCURACY
    }

    /// Whether both are about the same metric, in the same direction. Values of others say nothing about each other.
    pub fn is_comparable(&self, other: &Self) -> bool {
        self.metric == other.metric && self.more_is_better == other.more_is_better
    }

    /// Whether it is better. Of what cannot be compared none is.
    pub fn beats(&self, other: &Self) -> bool {
        self.is_comparable(other) && self.goodness() > other.goodness()
    }

    /// More is better.
    pub fn goodness(&self) -> f64 {
        if self.more_is_better { self.value } else { -self.value }
    }
}

impl Register {
    /// The metric of the gate by which trials and versions of a program are compared: `accuracy` if it is required, otherwise the first one by
    /// name. Returns `None` without a gate.
    pub fn compared_by(&self) -> Option<(&Metric, &Bound)> {
        let accuracy = self.require.iter().find(|(metric, _)| metric.as_str() == Metric::ACCURACY);
        accuracy.or_else(|| self.require.iter().next())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn register(gate: &[(&str, &str)]) -> Register {
        let require = gate.iter().map(|(metric, bound)| (metric.parse().unwrap(), bound.parse().unwrap())).collect();
        Register { model: "m".to_owned(), require }
    }

    #[test]
    fn a_gate_says_by_what_versions_are_compared_and_in_which_direction() {
        let by = |gate: &[(&str, &str)]| {
            let register = register(gate);
            register.compared_by().map(|(metric, bound)| Score::of_gate(metric, bound, 0.5))
        };
        assert_eq!(by(&[]), None);
        let loss = by(&[("loss", "< 0.7")]).unwrap();
        assert_eq!((loss.metric.as_str(), loss.more_is_better, loss.goodness()), ("loss", false, -0.5));
        assert_eq!(by(&[("f1", ">= 0.9"), ("loss", "< 0.7")]).unwrap().metric, "f1");
        assert!(by(&[("accuracy", "> 0.9"), ("aaa", "< 0.7")]).unwrap().is_accuracy());
    }

    #[test]
    fn only_the_same_metric_is_compared() {
        let loss = |value| Score { metric: "loss".to_owned(), value, more_is_better: false };
        assert!(loss(0.1).beats(&loss(0.2)) && !loss(0.2).beats(&loss(0.1)) && !loss(0.1).beats(&loss(0.1)));
        assert!(!Score::accuracy(0.9).beats(&loss(0.2)) && !loss(0.2).beats(&Score::accuracy(0.9)));
    }
}
