//! What is said about the requests: whether those that the version in service gets are like what it was not trained on, and whether that matters.
//!
//! ```text
//! sample of its requests --hour by hour--> Watch --with git and the head--> Evidence, Decision
//! ```
//!
//! The sample is the server's (`slipway-samples`). Its hours are the windows: an hour is judged once all that was written of it is there, and
//! never again. There are no labels, so a loss of accuracy is an estimate. A [`Watch`] may be kept in memory so that no hour is read twice; who has none
//! reads what the sample still holds, at most a week, and has at most the same capital, so the promise about false alarms is kept.
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
