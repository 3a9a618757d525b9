//! TrainJobs that start again although they were cancelled or replaced.

use std::collections::BTreeSet;

use slipway_git::Repository;
use slipway_project::{Plan, count, jobs_folder};

use crate::context::Context;
use crate::failure::Failure;

/// Warns of starting TrainJobs whose files an earlier commit of `revision` had: they were cancelled or replaced, and the plan starts them again.
pub(crate) fn warn_of_cancelled(
    context: &Context,
    git: &Repository,
    revision: &str,
    plan: &Plan,
) -> Result<(), Failure> {
    for change in plan.changes.iter().filter(|change| !change.starts.is_empty()) {
        let folder = jobs_folder(&change.environment);
        let paths: BTreeSet<String> =
            change.starts.iter().map(|start| format!("{folder}/{}.yaml", start.name)).collect();
        let removed = git.removed_before(revision, &paths)?;
        let (experiment, environment) = (&change.experiment, &change.environment);
        let again = match removed.len() {
            0 => continue,
            1 => "1 TrainJob that was cancelled or replaced starts again".to_owned(),
            many => format!("{} that were cancelled or replaced start again", count(many, "TrainJob")),
        };
        context.warn(format!("warning: {experiment} in {environment}: {again}"));
    }
    Ok(())
}
