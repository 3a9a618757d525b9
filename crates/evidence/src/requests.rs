//! What is said about the requests: whether those that the version in service gets are like what it was not trained on, and whether that matters.
//!
//! ```text
//! sample of its requests --hour by hour--> Watch --with git and the head--> Evidence, Decision
//! ```
//!
//! The sample is the server's (`slipway-samples`). An hour of it is judged once all that was written of it should be there, and never again, in windows of
//! 50 rows: of each request the first one, and of an hour at most 500. There are no labels, so a loss of accuracy is an estimate. A [`Watch`] may be kept in
//! memory so that no hour is read twice; who has none reads what the sample still holds, at most a week. Of the same files it has at most the same capital,
//! because the first hour of a watch has no bets; a file that was too late for the one is there for the other.
//!
//! No request is in what is said: neither its picture nor its id.

mod decision;
mod evidence;
mod hours;
mod look;
mod markdown;
mod sampled;
mod watch;

pub use evidence::Evidence;
pub use look::{Look, Sources, look};
pub use markdown::{issue, pull_request};
pub use watch::Watch;
