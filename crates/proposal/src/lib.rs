//! The pull requests that Slipway opens: one that starts an experiment, one that puts a version into service.
//!
//! Both are prepared first, so that a caller can show what they would do, and opened second.

mod error;
mod experiment;
mod promotion;
mod remote;

pub use error::{Error, Result};
pub use experiment::ExperimentProposal;
pub use promotion::{Promotion, best_version, numbered_version};
pub use remote::Remote;
