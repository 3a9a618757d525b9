//! The pull request that moves ended TrainJobs to the history.

use std::collections::BTreeMap;

use slipway_experiment::{JobResult, Record, check_record};
use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_markdown::on_one_line;
use slipway_project::{Changes, JobFile, Plan, Project, count, history};

use crate::archive_body::body;
use crate::base::{Base, Proposal};
use crate::branch::change_in;
use crate::{Error, Opening, Remote, Result};

/// The most TrainJobs that one pull request moves.
pub const MOST_RECORDS: usize = 500;

/// TrainJobs that have ended, whose files move to the history on top of the remote's default branch, each below what came of its job. Argo
/// CD then removes their objects.
#[derive(Debug)]
pub struct Archive {
    /// What moves. It starts and stops nothing.
    pub plan: Plan,
    /// What came of the TrainJobs that move; the one that ended first is the first.
    pub records: Vec<Record>,
    /// TrainJobs that stay, because no result of them was given.
    pub stays: Vec<String>,
    /// How many more have ended: at most [`MOST_RECORDS`] move at once.
    pub left: usize,
    environment: String,
    base: Base,
    changes: Changes,
}

impl Archive {
    /// Prepares to move the TrainJobs of an environment of which results are given, by their names. A result says that its job has ended:
    /// whoever gives it must know that no attempt of it runs or follows. Names that are not on the default branch do not matter.
    ///
    /// # Errors
    /// [`Error::UnknownEnvironment`]; when the remote cannot be fetched from.
    pub async fn prepare(
        git: &Repository,
        remote: &Remote,
        environment: &str,
        results: &BTreeMap<String, JobResult>,
    ) -> Result<Self> {
        let base = Base::fetch(git, remote).await?;
        let before = Project::read(&base.tree);
        let Some(target) = before.environments.get(environment) else {
            let known = before.environments.keys().cloned().collect();
            return Err(Error::UnknownEnvironment { name: environment.to_owned(), known });
        };
        let (mut ended, mut stays): (Vec<(&JobResult, &String, &JobFile)>, Vec<String>) = Default::default();
        // one that has a record already is a mistake, which `slipway check` explains
        for (path, file) in target.jobs.iter().filter(|(_, file)| !target.archived.contains(&file.job.name)) {
            match results.get(&file.job.name) {
                Some(result) => ended.push((result, path, file)),
                None => stays.push(file.job.name.clone()),
            }
        }
        ended.sort_by_key(|(result, path, _)| (result.ended, *path));
        let left = ended.len().saturating_sub(MOST_RECORDS);
        let (mut changes, mut records) = (Changes::new(), Vec::new());
        for (result, path, file) in ended.into_iter().take(MOST_RECORDS) {
            let record = Record::new(&file.job, result.clone());
            let bytes = record.to_bytes(base.tree.bytes(path).unwrap_or_default());
            let to = history::path(environment, &record.name);
            // one that would not read back is not written
            if check_record(&to, &String::from_utf8_lossy(&bytes)).is_err() {
                stays.push(record.name);
                continue;
            }
            changes.insert(path.clone(), None);
            changes.insert(to, Some(bytes));
            records.push(record);
        }
        stays.sort();
        let plan = Plan::between(&before, &Project::read(&base.tree.with(&changes)));
        let plan =
            Plan { changes: plan.changes.into_iter().filter(|change| !change.archived.is_empty()).collect(), ..plan };
        Ok(Self { plan, records, stays, left, environment: environment.to_owned(), base, changes })
    }

    /// Whether no TrainJob moves.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The open pull request that records ended TrainJobs of an environment. There is one at a time, since the next one would be about the
    /// same jobs until this one is merged or closed.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub async fn pending(remote: &Remote, environment: &str) -> Result<Option<Opened>> {
        let open = remote.forge.list_open().await?;
        Ok(open.into_iter().find(|opened| Self::is_one(opened, environment)))
    }

    /// Whether a pull request, in whatever state, records ended TrainJobs of an environment.
    #[must_use]
    pub fn is_one(opened: &Opened, environment: &str) -> bool {
        !opened.is_fork && change_in(&opened.branch, &name(environment)).is_some()
    }

    /// Commits, pushes and opens the pull request. If one is open for the environment already, returns that one and changes nothing.
    ///
    /// # Errors
    /// When the repository cannot be written, or the remote refuses.
    pub async fn open(self, git: &Repository, remote: &Remote, opening: Opening) -> Result<Opened> {
        if let Some(pending) = Self::pending(remote, &self.environment).await? {
            return Ok(pending);
        }
        let environment = &self.environment;
        let title = on_one_line(&format!("Record {} in {environment}", count(self.records.len(), "ended TrainJob")));
        let head = git.commit(Some(&self.base.commit), &self.changes, &title)?;
        let body = body(environment, &self.records, self.left);
        let proposal = Proposal { name: name(environment), by_name: true, label: "history", title, body };
        self.base.open(git, remote, &head, proposal, opening).await
    }
}

/// What the branches of an environment are named after.
fn name(environment: &str) -> String {
    format!("history-{environment}")
}
