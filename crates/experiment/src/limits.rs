//! Limits that an installation sets for experiments.

/// Limits that a cluster's configuration may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most trials that one experiment may have.
    pub max_trials: usize,
}

impl Limits {
    /// The default of `max_trials`.
    pub const MAX_TRIALS: usize = 1000;
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_trials: Self::MAX_TRIALS }
    }
}
