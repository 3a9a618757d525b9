//! Commits, branches and pull requests, without touching anybody's work tree.
//!
//! [`Git`] runs the user's own `git`, so that credentials, hooks and proxies are those that the user has. Commits are made
//! from trees: neither the work tree nor the index nor the current branch moves. Pull requests are opened on a [`Forge`]: GitHub, or
//! a bare repository on this machine, which keeps them as refs.

mod bare;
mod error;
mod forge;
mod git;
mod github;
mod pull_request;

pub use bare::BareForge;
pub use error::{Error, Result};
pub use forge::{Forge, forge_of};
pub use git::Git;
pub use github::GitHub;
pub use pull_request::{Opened, PullRequest, PullRequestState};
