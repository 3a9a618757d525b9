//! Names of metrics that a gate can require.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a metric, as MLflow takes it: a letter, then letters, digits and `_./ -`, at most 250 characters.
///
/// A program of one's own may be asked for any metric that it logs. The built-in trainer knows [`Metric::BUILT_IN`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Metric(String);

/// Why a text is not the name of a metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of a metric: allowed are {rule}", rule = Metric::RULE)]
pub struct MetricError(String);

impl Metric {
    /// The share of the test split that a finished model of the built-in trainer classifies correctly, from 0 to 1.
    pub const ACCURACY: &'static str = "accuracy";
    /// The share of the validation split that it classifies correctly after the last epoch, from 0 to 1.
    pub const VALIDATION_ACCURACY: &'static str = "validation_accuracy";
    /// The metrics that the built-in trainer can be asked for. Each is a share, from 0 to 1.
    pub const BUILT_IN: [&'static str; 2] = [Self::ACCURACY, Self::VALIDATION_ACCURACY];

    /// What a name may hold, in words.
    pub(crate) const RULE: &'static str =
        "letters, digits, `_`, `.`, `/`, `-` and spaces, starting with a letter, at most 250 characters";

    /// The most characters of a name: MLflow's limit.
    pub(crate) const MAX: usize = 250;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the built-in trainer can be asked for it.
    pub fn is_built_in(&self) -> bool {
        Self::BUILT_IN.contains(&self.as_str())
    }
}

impl FromStr for Metric {
    type Err = MetricError;

    fn from_str(text: &str) -> Result<Self, MetricError> {
        let fits = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./ -".contains(c))
            && !text.ends_with(' ')
            && text.len() <= Self::MAX;
        if fits { Ok(Self(text.to_owned())) } else { Err(MetricError(text.to_owned())) }
    }
}

impl TryFrom<String> for Metric {
    type Error = MetricError;

    fn try_from(text: String) -> Result<Self, MetricError> {
        text.parse()
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.0
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
