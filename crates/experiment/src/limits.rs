//! What an installation allows one experiment to ask for.

/// Bounds that a cluster's configuration may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most trials that one experiment may expand into.
    pub max_trials: usize,
}

impl Limits {
    /// Trials of one experiment, unless a cluster's configuration says otherwise.
    pub const MAX_TRIALS: usize = 1000;
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_trials: Self::MAX_TRIALS }
    }
}
