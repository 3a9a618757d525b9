//! Git repositories.
//!
//! A [`Repository`] is read and written by libgit2: trees, blobs, history, commits and references. It is opened by path, so no `GIT_*`
//! variable leads it elsewhere. Neither the work tree nor the index nor the current branch ever changes, and no commit hook runs.
//!
//! The user's own `git` does what depends on how that person set it up: the network, with its credential helpers, SSH configuration and
//! proxies; signatures, with their keys; and the configuration that says who commits. A program that has no git fetches by an
//! [`HttpRemote`].

mod cache;
mod committer;
mod error;
mod export;
mod folder_history;
mod history;
mod ignored;
mod merge;
mod over_http;
mod program;
mod read;
mod rebase;
mod references;
mod remote;
mod repository;
mod revert;
mod tree_id;
mod upstream;
mod work_tree;
mod write;

pub use error::{Error, Result};
pub use export::TreeFile;
pub use folder_history::{FolderChange, FolderHistory};
pub use history::{Commit, Missing, PathChange, PathHistory, blob_id};
pub use ignored::Ignored;
pub use merge::{Entry, Merge};
pub use over_http::{HttpRemote, Limits, Token};
pub use program::OLDEST_GIT;
pub use read::Other;
pub use rebase::Rebase;
pub use references::Update;
pub use repository::Repository;
pub use tree_id::{Leaf, tree_id};
pub use upstream::check_out;
pub use work_tree::Tracked;
