//! The pull requests of a lineage's commits.

use slipway_forge::{Forge, Opened, number_in};

use crate::History;
use crate::lineage::{CommitLineage, Lineage, Part, PullRequestLineage};

impl From<Opened> for PullRequestLineage {
    fn from(opened: Opened) -> Self {
        Self { number: opened.number, title: Some(opened.title), url: Some(opened.url) }
    }
}

impl Lineage {
    /// Finds the pull request of each commit: by the forge, otherwise by the number in the commit's message. `forge` may be the reason why
    /// there is none.
    pub async fn find_pull_requests(&mut self, history: &History, forge: Result<&Forge, String>) {
        let mut known: Option<CommitLineage> = None;
        let mut reasons = Vec::new();
        let (job, experiment) = (&mut self.train_job, &mut self.experiment);
        let at_top = |path: &Option<String>| path.as_deref().map(|path| history.repository.path_at_top(path));
        let contents = [
            (job.commit.as_ref().map(|commit| commit.id.clone()), at_top(&job.file), job.blob.clone()),
            (
                experiment.commit.as_ref().map(|commit| commit.id.clone()),
                at_top(&experiment.file),
                experiment.blob.clone(),
            ),
        ];
        for commit in [&mut job.commit, &mut experiment.commit].into_iter().flatten() {
            if let Some(known) = known.as_ref().filter(|known| known.id == commit.id) {
                commit.pull_request.clone_from(&known.pull_request);
                continue;
            }
            let brought = contents.iter().filter(|(id, ..)| id.as_deref() == Some(&commit.id));
            let files: Vec<(&str, &str)> =
                brought.filter_map(|(_, path, blob)| Some((path.as_deref()?, blob.as_deref()?))).collect();
            let found = match &forge {
                Ok(forge) => forge.pull_request_of(&commit.id, &files).await.map_err(|error| error.to_string()),
                Err(reason) => Err(reason.clone()),
            };
            let short = commit.id.get(..8).unwrap_or_default();
            match found {
                Ok(Some(opened)) => commit.pull_request = Some(opened.into()),
                Ok(None) => {
                    reasons.push(format!("none is known that brought {short}: it may have been pushed without one"))
                }
                Err(reason) => {
                    let number = number_in(&commit.subject);
                    commit.pull_request = number.map(|number| PullRequestLineage { number, title: None, url: None });
                    reasons.push(match number {
                        Some(number) => {
                            format!("#{number}, as the message of {short} says; it could not be looked up: {reason}")
                        }
                        None => format!(
                            "that of {short} could not be looked up, and its message does not name one: {reason}"
                        ),
                    });
                }
            }
            known = Some(commit.clone());
        }
        // mostly the same commit brings the code of a program
        if let Some(commit) = self.program.as_mut().and_then(|program| program.commit.as_mut())
            && let Some(same) = self.train_job.commit.as_ref().filter(|same| same.id == commit.id)
        {
            commit.pull_request.clone_from(&same.pull_request);
        }
        for reason in reasons {
            self.unresolved(Part::PullRequest, reason);
        }
    }
}
