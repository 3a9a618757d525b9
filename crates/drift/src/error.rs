//! Errors of the crate.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something cannot be watched or computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A promise that cannot be read.
    #[error("`{0}` is not a rate of false alarms: write `once in 5 years`, with hours, days, weeks, months or years")]
    Promise(String),
    /// A number is outside of what it may be.
    #[error("{what} is {value}: it must be {allowed}")]
    Range {
        /// What the number is.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// There are too few observations.
    #[error("{what} has {found} observations: at least {needed} are needed")]
    TooFew {
        /// Of what.
        what: String,
        /// How many there are.
        found: usize,
        /// How many there must be.
        needed: usize,
    },
    /// A row does not fit the streams.
    #[error(
        "a row has {found} values, and there are {expected} streams: give one value a stream, NaN where it is missing"
    )]
    Row {
        /// Values of the row.
        found: usize,
        /// Streams of the reference.
        expected: usize,
    },
    /// A value of a stream of classes is not a class.
    #[error("stream {stream}: {value} is not one of its classes 0 to {last}")]
    Class {
        /// The stream's name.
        stream: String,
        /// The value.
        value: f64,
        /// The last class.
        last: usize,
    },
    /// A state belongs to another detector.
    #[error(
        "the state has {found} capitals, and the detector has {expected} bets: the reference was changed, so start anew"
    )]
    State {
        /// Capitals in the state.
        found: usize,
        /// Bets of the detector.
        expected: usize,
    },
}
