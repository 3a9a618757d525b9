//! What can go wrong with a source.

/// Something in the data that does not fit its declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field of the declaration that it is about, such as `spec.source.idx.images`.
    pub field: String,
    /// The kind of problem, stable, for programs: `digest-mismatch`, `empty-class`, ….
    pub code: &'static str,
    /// What is wrong, and where in the data.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Why a dataset could not be made from its source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data and its declaration do not fit.
    #[error("{}; {}", .0.message, .0.help)]
    Problem(Box<Problem>),
    /// A server does not answer, or cannot serve anybody at the moment.
    #[error("cannot download {address}: {reason}; try again later, or download it yourself and give its path")]
    Unreachable {
        /// The address.
        address: String,
        /// Why the last attempt failed.
        reason: String,
    },
    /// A file of this machine, or the object store.
    #[error(transparent)]
    Dataset(#[from] slipway_dataset::Error),
}

impl Error {
    /// Data that does not fit.
    #[must_use]
    pub fn problem(field: &str, code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Problem(Box::new(Problem { field: field.to_owned(), code, message: message.into(), help: help.into() }))
    }

    /// A file of this machine that cannot be read or written.
    pub(crate) fn file(action: &'static str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Dataset(slipway_dataset::Error::file(action, path, error))
    }
}
