//! Why evidence cannot be had.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why evidence cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store, or a dataset in it.
    #[error(transparent)]
    Dataset(#[from] slipway_dataset::Error),
    /// What a build has left.
    #[error(transparent)]
    Pipeline(#[from] slipway_pipeline::Error),
    /// The sample of the requests.
    #[error(transparent)]
    Samples(#[from] slipway_samples::Error),
    /// The forge.
    #[error(transparent)]
    Forge(#[from] slipway_forge::Error),
    /// The mathematics: a dataset that is too small.
    #[error(transparent)]
    Drift(#[from] slipway_drift::Error),
    /// A quality report that cannot be read.
    #[error("the quality report of {dataset} cannot be read: {reason}; build the dataset again")]
    Report {
        /// The dataset.
        dataset: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two datasets that cannot be compared.
    #[error(
        "{dataset} has {what} {now}, and what the version in service was trained on had {before}: they cannot be compared; train on the new one"
    )]
    Unlike {
        /// The dataset.
        dataset: String,
        /// What differs.
        what: &'static str,
        /// Of the head.
        now: String,
        /// Of the other.
        before: String,
    },
    /// What the head is compared with is not known.
    #[error("what {dataset} is to be compared with is not known: {reason}")]
    Reference {
        /// The dataset.
        dataset: String,
        /// Why not.
        reason: String,
    },
    /// The model server.
    #[error("the model server at {url} cannot be asked for {model}: {reason}")]
    Model {
        /// The server's address.
        url: String,
        /// The model with its version.
        model: String,
        /// Why not.
        reason: String,
    },
    /// A task that was ended with the program.
    #[error("the computation was interrupted")]
    Interrupted,
}
