//! What a merged pull request started, stopped and put into service, as git has it.

use std::collections::{BTreeMap, BTreeSet};

use slipway_experiment::Register;
use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_project::plan::{Change, Start};
use slipway_project::{Plan, Project, Tree, jobs_folder};
use slipway_proposal::{Remote, merged_commits};
use slipway_report::{InService, Ranking};

use crate::Result;

/// What a merged pull request started, stopped and put into service. It never changes, so whoever reports often reads it once.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// The pull request's number.
    pub number: u64,
    /// The commit of the base branch that merged it.
    pub commit: String,
    /// One for each experiment and environment that it started something in.
    pub started: Vec<Started>,
    /// How many TrainJobs it removed, by environment.
    pub stopped: BTreeMap<String, usize>,
    /// How many TrainJobs that had ended it moved to the history, by environment.
    pub archived: BTreeMap<String, usize>,
    /// Which versions it put into service, or took out of it.
    pub in_service: Vec<InService>,
}

/// The trials of an experiment that were started in an environment.
#[derive(Clone, Debug)]
pub struct Started {
    /// The environment.
    pub environment: String,
    /// The experiment.
    pub experiment: String,
    /// The registered model that they become versions of; `None` if they register nothing.
    pub model: Option<String>,
    /// The metric of their gate that they are compared by; `None` for the accuracy on test data.
    pub ranking: Option<Ranking>,
    /// The trials, in the order of the sweep.
    pub trials: Vec<StartedTrial>,
}

/// A trial that was started.
#[derive(Clone, Debug)]
pub struct StartedTrial {
    /// Its name, its parameters and the most that it may use.
    pub start: Start,
    /// The CPUs of all of its workers together, which they hold for as long as it runs; `None` if its file cannot be read.
    pub cpus: Option<f64>,
    /// The same for GPUs.
    pub gpus: Option<f64>,
}

impl Merged {
    /// Reads it. `tip` is the base branch as it is now.
    ///
    /// # Errors
    /// When its commits cannot be found or read.
    pub async fn read(git: &Repository, remote: &Remote, opened: &Opened, tip: &str) -> Result<Self> {
        let merge = opened.merge_commit.as_deref().unwrap_or(tip);
        let commits = merged_commits(git, remote, opened, merge).await?;
        Self::of_commits(git, opened.number, merge, &commits)
    }

    /// The same by the commits of the base branch that merged it, the newest first, as [`merged_commits`] finds them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn of_commits(git: &Repository, number: u64, merge: &str, commits: &[String]) -> Result<Self> {
        let mut before = match git.first_parent(commits.last().map_or(merge, String::as_str))? {
            Some(before) => Tree::at(git, &before)?,
            None => Tree::default(),
        };
        let mut after = Tree::at(git, merge)?;
        let in_service = InService::all(&before, &after);
        // a job that stays as it is says nothing here, and thousands of them take a while to read
        for path in unchanged_jobs(&before, &after) {
            before.remove(&path);
            after.remove(&path);
        }
        let project = Project::read(&after);
        let plan = Plan::between(&Project::read(&before), &project);
        let stopped = counts(&plan, |change| change.stops.len());
        let archived = counts(&plan, |change| change.archived.len());
        let started = plan.changes.into_iter().filter(|change| !change.starts.is_empty());
        let started = started.map(|change| Started::of(change, &project)).collect();
        Ok(Self { number, commit: merge.to_owned(), started, stopped, archived, in_service })
    }

    /// The environments in which it started, stopped or put something into service.
    #[must_use]
    pub fn environments(&self) -> BTreeSet<String> {
        let started = self.started.iter().map(|started| &started.environment);
        let changed = self.in_service.iter().map(|one| &one.environment);
        started.chain(self.stopped.keys()).chain(self.archived.keys()).chain(changed).cloned().collect()
    }
}

impl Started {
    fn of(change: Change, project: &Project) -> Self {
        let Change { environment, experiment, starts, .. } = change;
        let source = project.experiments.iter().find(|source| source.experiment.name == experiment);
        let spec = source.map(|source| &source.experiment.spec);
        let register = spec.and_then(|spec| spec.register.as_ref());
        let model = register.map(|register| register.model.clone());
        // the built-in trainer always measures the accuracy on test data
        let gate = register.filter(|_| spec.is_some_and(|spec| spec.work.program().is_some()));
        let ranking = gate.and_then(Register::compared_by).map(|(metric, bound)| Ranking {
            metric: metric.as_str().to_owned(),
            more_is_better: bound.comparison.more_is_better(),
        });
        let jobs = project.environments.get(&environment).map(|found| &found.jobs);
        let trials = starts.into_iter().map(|start| {
            let path = format!("{}/{}.yaml", jobs_folder(&environment), start.name);
            let job = jobs.and_then(|jobs| jobs.get(&path)).map(|file| &file.job);
            let nodes = job.map(|job| f64::from(job.num_nodes));
            let each = |of: f64| nodes.map(|nodes| nodes * of);
            let (cpus, gpus) = job.map_or((0.0, 0.0), |job| (job.cpu_millis as f64 / 1000.0, f64::from(job.gpus)));
            StartedTrial { start, cpus: each(cpus), gpus: each(gpus) }
        });
        Self { model, ranking, trials: trials.collect(), environment, experiment }
    }
}

/// How many of something there are in each environment that has any.
fn counts(plan: &Plan, of: impl Fn(&Change) -> usize) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for change in plan.changes.iter().filter(|change| of(change) > 0) {
        *counts.entry(change.environment.clone()).or_default() += of(change);
    }
    counts
}

/// The rendered TrainJobs that are the same in two trees.
fn unchanged_jobs(before: &Tree, after: &Tree) -> Vec<String> {
    let folders: Vec<String> = after.folders_in("overlays").iter().map(|name| jobs_folder(name)).collect();
    let jobs = folders.iter().flat_map(|folder| after.yaml_in(folder));
    jobs.filter(|path| before.bytes(path) == after.bytes(path)).map(str::to_owned).collect()
}
