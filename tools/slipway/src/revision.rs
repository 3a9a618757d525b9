//! A revision that an option names.

use slipway_git::Repository;
use slipway_project::Tree;

use crate::failure::Failure;

/// The project's files at the revision that `option` names.
pub(crate) fn tree_at(git: &Repository, option: &str, name: &str) -> Result<Tree, Failure> {
    match git.resolve(name)? {
        Some(commit) => Ok(Tree::at(git, &commit)?),
        None => Err(Failure::Input(format!(
            "{option} {name}: this revision does not exist; name a branch, a tag or a commit"
        ))),
    }
}
