//! The history in git as the place that ended jobs are moved to.

use std::collections::BTreeMap;
use std::sync::Arc;

use slipway_cluster::{Leadership, State, Timestamp, Training};
use slipway_experiment::{JobResult, JobState, TrainJob};
use slipway_forge::Opened;
use slipway_mlflow::Client;
use slipway_project::{Project, Tree};
use slipway_proposal::{Archive, Opening, results_of};
use slipway_service::{Followed, blocking, first_stays, must_lead};
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::known::Facts;
use crate::merges::{Merge, What};
use crate::view::PullRequest;

/// The history in git, of one environment.
#[derive(Clone, Debug)]
pub struct History {
    /// The repository.
    pub followed: Followed,
    /// What came of the runs.
    pub mlflow: Client,
    /// The environment.
    pub environment: String,
}

/// The archives that there were.
#[derive(Clone, Debug, Default)]
pub(crate) struct Last {
    /// The one that is open.
    pub(crate) open: Option<Opened>,
    /// When the last one was proposed or merged, in seconds since 1970; `None` if none is known.
    pub(crate) time: Option<i64>,
}

impl History {
    /// The archive that is open, and when one was proposed last, as far as that is known, in seconds since 1970.
    ///
    /// A forge lists only its newest pull requests in every state, so two more things are looked at: which ones are open, and when the default branch
    /// got its newest record.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    pub(crate) async fn last(&self, leadership: &Leadership, facts: &Facts) -> Result<Last> {
        let recorded = facts.declared.commits.recorded;
        if let Some(open) = self.only_open(leadership).await? {
            return Ok(Last { open: Some(open), time: recorded });
        }
        let newest = self.followed.remote.forge.newest().await?;
        let Some(last) = newest.into_iter().find(|opened| Archive::is_one(opened, &self.environment)) else {
            return Ok(Last { open: None, time: recorded });
        };
        let head = self.followed.fetch_reference(&format!("refs/pull/{}/head", last.number)).await?;
        let time = self.followed.git.commit_of(&head)?.time;
        Ok(Last { open: None, time: recorded.max(Some(time)) })
    }

    /// The archive that is open. Of several the first one stays, also if the manager that would have closed its own was killed before.
    ///
    /// # Errors
    /// When the forge refuses or cannot be reached.
    async fn only_open(&self, leadership: &Leadership) -> Result<Option<Opened>> {
        let forge = &self.followed.remote.forge;
        let mut open = forge.list_open().await?;
        open.retain(|opened| Archive::is_one(opened, &self.environment));
        open.sort_by_key(|opened| opened.number);
        let mut open = open.into_iter();
        let Some(mut first) = open.next() else { return Ok(None) };
        for later in open {
            first = first_stays::<Error>(forge, leadership, Some(first), later).await?;
        }
        Ok(Some(first))
    }

    /// Proposes to move those of these jobs that ended long enough ago; their logs are kept with their runs. Returns `None` if there is nothing to
    /// move.
    ///
    /// # Errors
    /// When the repository cannot be written, or the forge refuses.
    pub(crate) async fn propose(
        &self,
        jobs: &[String],
        leadership: &Leadership,
        facts: &Facts,
    ) -> Result<Option<Opened>> {
        let Some(settings) = facts.declared.history else { return Ok(None) };
        let latest = Timestamp::now().as_second() - i64::try_from(settings.after.seconds()).unwrap_or(i64::MAX);
        let trainings: BTreeMap<&str, &Training> = jobs
            .iter()
            .filter_map(|job| Some((job.as_str(), facts.observed.trainings.get(job)?.as_ref())))
            .filter(|(_, training)| training.ended.is_some_and(|ended| ended.as_second() <= latest))
            .collect();
        if trainings.is_empty() {
            return Ok(None);
        }
        let rendered = self.rendered(&facts.declared.commit).await?;
        let rendered: Vec<&TrainJob> =
            rendered.iter().filter(|job| trainings.contains_key(job.name.as_str())).collect();
        let mut runs = results_of(&self.mlflow, &rendered).await?;
        let results: BTreeMap<String, JobResult> = trainings
            .into_iter()
            .filter_map(|(name, training)| Some((name, result(training, runs.remove(name))?)))
            .map(|(name, result)| (name.to_owned(), started_by(facts.pull_request(name), result)))
            .collect();
        let Followed { git, remote, .. } = &self.followed;
        let archive = Archive::prepare(git, remote, &self.environment, &results).await?;
        if archive.is_empty() {
            return Ok(None);
        }
        must_lead(leadership)?;
        let opened = archive.open(git, remote, Opening::default()).await?;
        Ok(Some(self.only_open(leadership).await?.unwrap_or(opened)))
    }

    /// What is to be merged without a person, as long as it moves no other jobs than these; `None` if the environment does not ask for that.
    pub(crate) fn merge(&self, opened: &Opened, jobs: &[String], facts: &Facts) -> Option<Merge> {
        let is_asked_for = facts.declared.history.is_some_and(|settings| settings.merge);
        let (number, environment) = (opened.number, self.environment.clone());
        is_asked_for.then_some(Merge { number, environment, what: What::Archive(jobs.iter().cloned().collect()) })
    }

    /// The rendered TrainJobs of a commit.
    async fn rendered(&self, commit: &str) -> Result<Vec<TrainJob>> {
        let (git, commit, environment) = (self.followed.git.clone(), commit.to_owned(), self.environment.clone());
        let jobs = move || -> slipway_proposal::Result<Vec<TrainJob>> {
            let mut project = Project::read(&Tree::at(&git, &commit)?);
            let found = project.environments.remove(&environment);
            Ok(found.into_iter().flat_map(|found| found.jobs.into_values()).map(|file| file.job).collect())
        };
        Ok(blocking(jobs).await?)
    }
}

/// A result with the pull request that started its job, which only the forge knows otherwise.
fn started_by(pull_request: Option<&Arc<PullRequest>>, result: JobResult) -> JobResult {
    let (number, url) = pull_request.map(|one| (one.number, one.url.clone())).unzip();
    JobResult { pull_request: number, pull_request_url: url, ..result }
}

/// What came of a job that has ended, by its run and by what the cluster says. `None` while the two do not fit: the run may not have been
/// closed yet.
fn result(training: &Training, run: Option<JobResult>) -> Option<JobResult> {
    let time = |time: Timestamp| OffsetDateTime::from_unix_timestamp(time.as_second()).ok();
    let ended = time(training.ended?)?;
    let started = training.started.and_then(time);
    let without_run = |state| JobResult { started, ..JobResult::new(state, ended) };
    match training.state {
        State::Finished => match run {
            Some(run) => Some(run).filter(|run| matches!(run.state, JobState::Finished | JobState::Refused)),
            None => Some(without_run(JobState::Finished)),
        },
        State::Failed => {
            let result = run.unwrap_or_else(|| without_run(JobState::Failed));
            let said = training.hindrance.as_ref().map_or(&training.message, |hindrance| &hindrance.reason);
            // a worker that was killed could not say why
            let reason = result.reason.clone().or_else(|| Some(said.clone()).filter(|said| !said.is_empty()));
            Some(JobResult { state: JobState::Failed, reason, ..result })
        }
        State::Waiting | State::Running | State::Ending => None,
    }
}
