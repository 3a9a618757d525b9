//! Rendered TrainJobs that are not committed.

use slipway_git::Repository;
use slipway_project::Project;

use crate::context::Context;
use crate::failure::Failure;

/// Marks the TrainJobs that HEAD does not have: nothing has started them, so they are rendered from what is here now. Outside of a
/// repository all of them count as committed.
pub(crate) fn mark_uncommitted(context: &Context, project: &mut Project) -> Result<(), Failure> {
    let git = match Repository::project(&context.root) {
        Err(slipway_git::Error::NotARepository(_)) => return Ok(()),
        found => found?,
    };
    let committed = if git.head()?.is_some() { git.files("HEAD", &["overlays"])? } else { Vec::new() };
    project.mark_uncommitted(&committed.into_iter().collect());
    Ok(())
}
