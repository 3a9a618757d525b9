//! Pull requests, on GitHub or on this machine.
//!
//! A [`Forge`] opens, lists and merges them: GitHub by its API, or a bare repository, which keeps them as references. Branches get there
//! by `slipway_git::Repository::push`, or, for a program that has no git, by [`GitHub::push`].

mod bare;
mod change;
mod error;
mod forge;
mod github;
mod issue;
mod marker;
mod merge_method;
mod objections;
mod publication;
mod pull_request;
mod resolution;

pub use bare::{BareForge, number_in};
pub use change::Change;
pub use error::{Error, Result};
pub use forge::{Forge, forge_of};
pub use github::{Credentials, GitHub, NewCommit, NewFile};
pub use issue::{Issue, NewIssue};
pub use merge_method::MergeMethod;
pub use objections::{Approvals, Objections};
pub use publication::{Annotation, CheckOutcome, CheckRun, Conclusion, Level, Publication, Published};
pub use pull_request::{Opened, PullRequest, PullRequestState};
