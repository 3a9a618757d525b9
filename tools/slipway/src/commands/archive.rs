//! `slipway archive`: the pull request that moves TrainJobs that have ended to the history.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use slipway_embedded::State;
use slipway_experiment::{Deadline, JobResult, Record, TrainJob};
use slipway_git::Repository;
use slipway_project::{Environment, Project, Tree, count, history};
use slipway_proposal::{Archive as Proposed, Error, Remote};
use slipway_source::closest;
use time::{Duration, OffsetDateTime};

use crate::context::Context;
use crate::ended::ended;
use crate::failure::Failure;
use crate::kept_logs::without_logs;
use crate::opening::OpeningArgs;
use crate::pull_request::{PullRequestReport, is_open};
use crate::record_text::{COLUMNS, row};
use crate::remote::ForgeArgs;
use crate::services;

/// The environment of the loop on this machine.
const LOCAL: &str = "local";

/// How many TrainJobs are named that stay.
const NAMED: usize = 5;

#[derive(Debug, Args)]
#[command(
    after_help = "The pull request moves the files of these TrainJobs from training-jobs/ to history/, each below what came of its job: state, metrics, run, \
                  version, duration, CPU-hours. Argo CD then removes the objects; runs and versions stay in MLflow. What is in the history has run: it is not rendered again, in no \
                  cluster, until the experiment changes or raises `rerun`.\n\n\
                  What came of a job is asked of MLflow, in the loop on this machine also of the loop. Where only MLflow is known, a run that failed counts after an hour, \
                  because another attempt may follow it. A job of which nothing is known stays. What was replaced or cancelled is no longer on the default branch and gets no record: its results stay in MLflow and on the page. A warning names the jobs of which no log is kept with their runs.\n\n\
                  Examples:\n  slipway archive --dry-run\n  slipway archive mnist-cnn-60e09a4e\n  slipway archive --environment staging --older-than 24h"
)]
pub(crate) struct Archive {
    /// TrainJobs, or experiments for all of theirs [default: all that have ended]
    jobs: Vec<String>,
    /// The environment; its MLflow is asked
    #[arg(long, alias = "env", value_name = "ENV", default_value = LOCAL)]
    environment: String,
    /// Only those that ended at least so long ago, such as 24h or 30m
    #[arg(long, value_name = "DURATION")]
    older_than: Option<Deadline>,
    /// Show what would move, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    opening: OpeningArgs,
    #[command(flatten)]
    forge: ForgeArgs,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Archived {
    environment: String,
    /// What came of those that move.
    records: Vec<Record>,
    /// Those that have not ended, or of which nothing is known, or that ended too lately.
    stays: Vec<String>,
    /// How many more have ended than one pull request moves.
    left: usize,
    /// Those that move although no log of them is kept with their run; `None` if MLflow did not say.
    without_logs: Option<Vec<String>>,
    /// `None` on a dry run, or if nothing moves. It may be one that was open before, about other jobs.
    pull_request: Option<PullRequestReport>,
}

impl Archive {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let (git, remote) = self.forge.find(context)?;
        let running = self.forge.running_in(context)?;
        // only then are the loop's jobs those of the remote
        let running = running.filter(|(_, state)| self.environment == LOCAL && remote.is_at(&state.forge));
        let project = on_default_branch(&git, &remote).await?;
        let Some(target) = project.environments.get(&self.environment) else {
            let known = project.environments.keys().cloned().collect();
            return Err(Error::UnknownEnvironment { name: self.environment.clone(), known }.into());
        };
        let jobs = self.chosen(target)?;
        let results = self.results(running.as_ref(), &jobs).await?;
        let archive = Proposed::prepare(&git, &remote, &self.environment, &results).await?;
        let moves = |job: &&TrainJob| archive.records.iter().any(|record| record.name == job.name);
        let stays: Vec<String> = jobs.iter().filter(|job| !moves(job)).map(|job| job.name.clone()).collect();
        let (records, left) = (archive.records.clone(), archive.left);
        show(context, &self.environment, &records, &stays, left);
        let without_logs = self.without_logs(context, running.as_ref(), &records).await?;
        let pull_request = if records.is_empty() {
            None
        } else if self.dry_run {
            context.say("dry run: no pull request was opened");
            None
        } else {
            Some(self.open(context, &git, &remote, archive).await?)
        };
        let environment = self.environment.clone();
        context.json(&Archived { environment, records, stays, left, without_logs, pull_request })
    }

    /// Those of which no log is kept, with a warning: once the pull request is merged, nobody can read them any more.
    async fn without_logs(
        &self,
        context: &Context,
        running: Option<&(PathBuf, State)>,
        records: &[Record],
    ) -> Result<Option<Vec<String>>, Failure> {
        if records.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let mlflow = services::mlflow(running.map(|(_, state)| state))?;
        let without = match without_logs(&mlflow, records).await {
            Ok(without) => without,
            Err(error) => {
                context.warn(format!("whether logs of these TrainJobs are kept with their runs is not known: {error}"));
                return Ok(None);
            }
        };
        if !without.is_empty() {
            let names: Vec<&str> = without.iter().take(NAMED).map(String::as_str).collect();
            let more = if without.len() > NAMED { ", …" } else { "" };
            context.warn(format!(
                "no log of {} is kept with a run, and the merge takes the pods with their logs away: {}{more}. The training manager keeps them within \
                 minutes of a job's end, as long as its pods are there; before the merge, `kubectl -n training logs` reads them",
                count(without.len(), "TrainJob"),
                names.join(", ")
            ));
        }
        Ok(Some(without))
    }

    async fn open(
        &self,
        context: &Context,
        git: &Repository,
        remote: &Remote,
        archive: Proposed,
    ) -> Result<PullRequestReport, Failure> {
        if let Some(pending) = Proposed::pending(remote, &self.environment).await? {
            context.say(format!(
                "pull request #{} ({}) records ended TrainJobs of {} already: merge it, or close it and run this again",
                pending.number, pending.url, self.environment
            ));
            return Ok(pending.into());
        }
        let opened = archive.open(git, remote, self.opening.opening()).await?;
        context.say(is_open(&opened));
        Ok(opened.into())
    }

    /// The TrainJobs that are named, otherwise all that are rendered and have no record.
    fn chosen<'a>(&self, target: &'a Environment) -> Result<Vec<&'a TrainJob>, Failure> {
        let all = || target.jobs.values().map(|file| &file.job).filter(|job| !target.archived.contains(&job.name));
        if self.jobs.is_empty() {
            return Ok(all().collect());
        }
        let mut chosen: BTreeMap<&str, &TrainJob> = BTreeMap::new();
        for name in &self.jobs {
            let found = all().filter(|job| job.name == *name || job.experiment() == Some(name.as_str()));
            let found: Vec<_> = found.map(|job| (job.name.as_str(), job)).collect();
            if found.is_empty() {
                return Err(self.not_there(target, name));
            }
            chosen.extend(found);
        }
        Ok(chosen.into_values().collect())
    }

    /// Why nothing of a name can be archived.
    fn not_there(&self, target: &Environment, name: &str) -> Failure {
        let environment = &self.environment;
        if target.archived.contains(name) {
            return Failure::Input(format!("{name} is archived already: {}", history::path(environment, name)));
        }
        if target.archived.iter().any(|job| history::is_of(job, name)) {
            let folder = history::folder(environment);
            return Failure::Input(format!("{name} is archived already: its TrainJobs are in {folder}"));
        }
        let jobs = target.jobs.values().map(|file| &file.job);
        let names = jobs.flat_map(|job| [Some(job.name.as_str()), job.experiment()]).flatten();
        let close = closest(name, names).map(|close| format!("; did you mean {close}?")).unwrap_or_default();
        Failure::Input(format!("{environment} has no TrainJob {name}, and none of an experiment {name}{close}"))
    }

    /// What came of those that have ended, and did so long enough ago.
    async fn results(
        &self,
        running: Option<&(PathBuf, State)>,
        jobs: &[&TrainJob],
    ) -> Result<BTreeMap<String, JobResult>, Failure> {
        if jobs.is_empty() {
            return Ok(BTreeMap::new());
        }
        let asked = || format!("what came of the TrainJobs of {} is asked of its MLflow", self.environment);
        let mlflow = services::mlflow(running.map(|(_, state)| state)).map_err(|failure| failure.during(&asked()))?;
        let folder = running.map(|(folder, _)| folder.join("jobs"));
        let mut results = ended(&mlflow, folder.as_deref(), jobs).await?;
        if let Some(age) = self.older_than {
            let age = Duration::seconds(i64::try_from(age.seconds()).unwrap_or(i64::MAX));
            let now = OffsetDateTime::now_utc();
            results.retain(|_, result| now - result.ended >= age);
        }
        Ok(results)
    }
}

/// The project at the newest commit of the remote's default branch.
async fn on_default_branch(git: &Repository, remote: &Remote) -> Result<Project, Failure> {
    let branch = remote.forge.default_branch().await?;
    let commit = remote.fetch(git, &branch).await?;
    Ok(Project::read(&Tree::at(git, &commit)?))
}

fn show(context: &Context, environment: &str, records: &[Record], stays: &[String], left: usize) {
    if context.is_json() {
        return;
    }
    if !records.is_empty() {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(COLUMNS);
        for record in records {
            table.add_row(row(record));
        }
        context.say(format!("{}\n", table.trim_fmt()));
    }
    let names: Vec<&str> = stays.iter().take(NAMED).map(String::as_str).collect();
    let more = if stays.len() > NAMED { ", …" } else { "" };
    let why = match stays.len() {
        0 => String::new(),
        1 => format!("; {} stays: it has not ended, or not long enough ago, or nothing is known of it", names[0]),
        all => format!(
            "; {all} stay, which have not ended, or not long enough ago, or nothing is known of them: {}{more}",
            names.join(", ")
        ),
    };
    let more = if left > 0 { format!("; {left} more have ended, for another pull request") } else { String::new() };
    context.say(match records.len() {
        0 => format!("no TrainJob of {environment} is to be archived{why}"),
        moves => format!(
            "archives {} of {environment} in {}{more}{why}",
            count(moves, "TrainJob"),
            history::folder(environment)
        ),
    });
}
