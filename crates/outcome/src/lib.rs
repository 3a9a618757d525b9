//! What the report on a pull request says: before the merge what it would do, after it what came of it.
//!
//! ```text
//! git   --Merged::read-->  what a merged pull request started, which never changes
//! MLflow, cluster, branch  --Merged::outcome-->  Outcome: the results, and the versions to promote
//! git, MLflow  --Sources::report-->  the whole report of one pull request, as the command line writes it
//! ```
//!
//! The command line knows git and MLflow. The training manager also gives the facts of its cluster, which win where they know more: a job
//! that waits and cannot start, and one that failed before it had a run.

mod branch;
mod error;
mod merged;
mod outcome;
mod planned;
mod recorded;
mod report;
mod runs;
mod state;
mod unregistered;

pub use branch::Branch;
pub use error::{Error, Result};
pub use merged::{Merged, Started, StartedTrial};
pub use outcome::{Now, Outcome, Registered, run_page};
pub use planned::{Here, Scope, Sources};
pub use report::Report;
pub use state::{Seen, state};
pub use unregistered::{Unregistered, reason, unmet_bounds, unregistered};
