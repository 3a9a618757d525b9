//! The pull requests that Slipway opens: to start an experiment, to cancel TrainJobs, to record those that have
//! ended, to put a version into service, to undo another one.
//!
//! Each is prepared first, so that a caller can show what they would do, and opened second.

mod archive;
mod archive_body;
mod archive_results;
mod base;
mod branch;
mod cancellation;
mod error;
mod experiment;
mod opening;
mod promotion;
mod remote;
mod rendering;
mod reversion;

pub use archive::{Archive, MOST_RECORDS};
pub use archive_results::{result_of, results_of};
pub use cancellation::Cancellation;
pub use error::{Error, Result};
pub use experiment::ExperimentProposal;
pub use opening::Opening;
pub use promotion::{Promotion, best_version, numbered_version, score};
pub use remote::Remote;
pub use rendering::Rendered;
pub use reversion::{Reversion, merged_commits};
