//! The pull requests that Slipway opens: to start an experiment, to train again on what a dataset has become, to cancel
//! TrainJobs, to record those that have ended, to put a version into service, to try one beside it, to end that
//! trial, to pin images, to undo another one.
//!
//! Each is prepared first, so that a caller can show what they would do, and opened second.

mod archive;
mod archive_body;
mod archive_results;
mod base;
mod branch;
mod cancellation;
mod conclusion;
mod error;
mod experiment;
mod opening;
mod pinning;
mod promotion;
mod remote;
mod rendering;
mod retraining;
mod reversion;
mod trial;
mod work_tree;

pub use archive::{Archive, MOST_RECORDS};
pub use archive_results::{result_of, results_of};
pub use cancellation::Cancellation;
pub use conclusion::{Conclusion, Tried, Verdict};
pub use error::{Error, Result};
pub use experiment::ExperimentProposal;
pub use opening::Opening;
pub use pinning::Pinning;
pub use promotion::{Promotion, best_version, numbered_version, score};
pub use remote::Remote;
pub use rendering::Rendered;
pub use retraining::{Retrained, Retraining, is_retraining_of, retrain_branch, retrain_branches};
pub use reversion::{Reversion, merged_commits};
pub use trial::Trial;
