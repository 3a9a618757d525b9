//! What is on the main branch of the loop on this machine, and how much of it the loop has applied.

use serde::Serialize;
use slipway_embedded::{Followed, State};
use slipway_git::Repository;
use slipway_project::count;

use crate::context::Context;
use crate::failure::Failure;

/// Main, in the output of `status`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MainBranch {
    commit: String,
    /// The commit that the loop has applied; `None` before the first one.
    applied: Option<String>,
    /// TrainJobs on main that the loop has not taken up yet.
    waiting: Vec<String>,
}

impl MainBranch {
    /// `None` if the forge has no main. `known` says which TrainJobs the loop has taken up.
    pub(super) fn read(
        context: &Context,
        folder: &std::path::Path,
        state: &State,
        known: impl Fn(&str) -> bool,
    ) -> Result<Option<Self>, Failure> {
        let project = Repository::project(&context.root)?;
        let followed = Followed::read(folder, &state.forge, project.prefix())?;
        Ok(followed.map(|followed| Self {
            waiting: followed.jobs.into_iter().filter(|name| !known(name)).collect(),
            commit: followed.main,
            applied: followed.applied,
        }))
    }

    /// One line, such as `0123abcd, applied`.
    pub(super) fn summary(&self) -> String {
        let short = |commit: &str| commit.chars().take(8).collect::<String>();
        let main = short(&self.commit);
        match &self.applied {
            Some(applied) if *applied == self.commit => format!("{main}, applied"),
            Some(applied) => format!("{main}; the loop is still at {} and follows within a second", short(applied)),
            None => format!("{main}; the loop has not applied it yet"),
        }
    }

    /// What to say of jobs that the loop does not show yet, if there are any.
    pub(super) fn waiting(&self) -> Option<String> {
        match self.waiting.as_slice() {
            [] => None,
            [one] => Some(format!("TrainJob {one} is on main and has not started yet")),
            many => {
                Some(format!("{} on main have not started yet: {}", count(many.len(), "TrainJob"), many.join(", ")))
            }
        }
    }
}
