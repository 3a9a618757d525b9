//! What a TrainJob, a run or a version came from: the exact content of its experiment, the commit of the default branch that brought it, and
//! the pull request.
//!
//! A TrainJob names the content of its experiment, not a commit: merging may make new commits, but never new content. Which commit brought a
//! content is looked up in the branch's first-parent history, where every kind of merge is one step or a few commits in a row.

mod brought;
mod findings;
mod history;
mod lineage;
mod origin;
mod pull_request;
mod resolve;

pub use findings::{Unknown, unknown_contents};
pub use history::History;
pub use lineage::{
    CommitLineage, DatasetLineage, ExperimentLineage, Lineage, Part, ProgramLineage, PullRequestLineage, Searched,
    TrainJobLineage, Unresolved,
};
pub use origin::Origin;
pub use resolve::resolve;
