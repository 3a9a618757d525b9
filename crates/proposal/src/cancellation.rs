//! The pull request that cancels TrainJobs.

use std::collections::{BTreeMap, BTreeSet};

use slipway_deployment::Kustomize;
use slipway_experiment::with_cancelled;
use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_markdown::on_one_line;
use slipway_project::{Changes, Plan, Project, count, history, jobs_folder};
use slipway_source::closest;

use crate::base::{Base, Proposal};
use crate::{Error, Opening, Remote, Result};

/// Rendered TrainJobs that are deleted on top of the remote's default branch. Argo CD then stops those that run; finished ones stay finished.
#[derive(Debug)]
pub struct Cancellation {
    /// What stops.
    pub plan: Plan,
    base: Base,
    /// What was named, for the title.
    names: Vec<String>,
    changes: Changes,
}

impl Cancellation {
    /// Prepares the cancellation of experiments and TrainJobs by their names; `only` limits it to one environment. A cancelled trial of a sweep
    /// whose other trials go on is named in the experiment's `cancelled`, so that rendering does not bring it back.
    ///
    /// # Errors
    /// [`Error::NothingToCancel`], [`Error::NothingRuns`], [`Error::HasEnded`], [`Error::CancelledInPart`], [`Error::NotEditable`],
    /// [`Error::UnknownEnvironment`]; when the remote cannot be fetched from.
    pub async fn prepare(git: &Repository, remote: &Remote, names: &[String], only: Option<&str>) -> Result<Self> {
        let base = Base::fetch(git, remote).await?;
        let before = Project::read(&base.tree);
        if let Some(name) = only.filter(|only| !before.environments.contains_key(*only)) {
            let known = before.environments.keys().cloned().collect();
            return Err(Error::UnknownEnvironment { name: name.to_owned(), known });
        }
        let mut removed: BTreeSet<(&str, &str)> = BTreeSet::new();
        for name in names {
            let found = rendered(&before, name, only);
            if let (true, Some(environment)) = (found.is_empty() && !rendered(&before, name, None).is_empty(), only) {
                return Err(Error::NotRenderedThere { name: name.clone(), environment: environment.to_owned() });
            }
            let environments = if found.is_empty() { archived(&before, name, only) } else { Vec::new() };
            if !environments.is_empty() {
                return Err(Error::HasEnded { name: name.clone(), environments });
            }
            if found.is_empty() {
                if let Some(cancelled) = was_cancelled(git, &base, &before, name)? {
                    return Err(Error::NothingRuns { name: name.clone(), branch: base.branch.clone(), cancelled });
                }
                let close = closest(name, all_names(&before).iter().map(String::as_str)).map(str::to_owned);
                return Err(Error::NothingToCancel { name: name.clone(), branch: base.branch.clone(), close });
            }
            removed.extend(found);
        }
        let mut changes: Changes = removed.iter().map(|(_, path)| ((*path).to_owned(), None)).collect();
        changes.extend(trials_taken_out(&before, &removed)?);
        let plan = Plan::between(&before, &Project::read(&base.tree.with(&changes)));
        let plan =
            Plan { changes: plan.changes.into_iter().filter(|change| !change.stops.is_empty()).collect(), ..plan };
        Ok(Self { plan, base, names: names.to_vec(), changes })
    }

    /// Commits, pushes and opens the pull request. If one is already open for the same change, returns that one.
    ///
    /// # Errors
    /// When the repository cannot be written, or the remote refuses.
    pub async fn open(
        self,
        git: &Repository,
        remote: &Remote,
        kustomize: Option<&Kustomize>,
        opening: Opening,
    ) -> Result<Opened> {
        let stops: usize = self.plan.changes.iter().map(|change| change.stops.len()).sum();
        let title = on_one_line(&format!("Cancel {} ({})", self.names.join(", "), count(stops, "TrainJob")));
        let head = git.commit(Some(&self.base.commit), &self.changes, &title)?;
        let name = format!("cancel-{}", self.names.first().map_or("jobs", String::as_str));
        let body = self.base.body(&self.plan, &self.base.tree.with(&self.changes), kustomize, &opening);
        let proposal = Proposal { name, by_name: false, label: "cancel", title, body };
        self.base.open(git, remote, &head, proposal, opening).await
    }
}

/// Environment and path of each rendered TrainJob of an experiment, or of a TrainJob, of this name.
fn rendered<'a>(project: &'a Project, name: &str, only: Option<&str>) -> Vec<(&'a str, &'a str)> {
    let environments =
        project.environments.iter().filter(|(environment, _)| only.is_none_or(|only| only == *environment));
    let all = environments.flat_map(|(environment, target)| target.jobs.iter().map(move |job| (environment, job)));
    all.filter(|(_, (_, file))| file.job.experiment() == Some(name) || file.job.name == name)
        .map(|(environment, (path, _))| (environment.as_str(), path.as_str()))
        .collect()
}

/// The environments in whose history a TrainJob of this name is, or one of an experiment of this name.
fn archived(project: &Project, name: &str, only: Option<&str>) -> Vec<String> {
    let environments =
        project.environments.iter().filter(|(environment, _)| only.is_none_or(|only| only == *environment));
    environments
        .filter(|(_, target)| target.archived.iter().any(|job| job == name || history::is_of(job, name)))
        .map(|(environment, _)| environment.clone())
        .collect()
}

/// Whether an experiment or a TrainJob without a rendered file was cancelled. `None` if nothing of this name was ever there.
fn was_cancelled(git: &Repository, base: &Base, project: &Project, name: &str) -> Result<Option<bool>> {
    let source = project.experiments.iter().find(|source| source.experiment.name == name);
    let mut jobs = source.map(|source| project.trial_names(&source.experiment)).unwrap_or_default();
    jobs.insert(name.to_owned());
    let paths = project
        .environments
        .keys()
        .flat_map(|environment| jobs.iter().map(move |job| format!("{}/{job}.yaml", jobs_folder(environment))));
    if !git.removed_before(&base.commit, &paths.collect())?.is_empty() {
        return Ok(Some(true));
    }
    Ok(source.map(|_| false))
}

/// What can be cancelled.
fn all_names(project: &Project) -> BTreeSet<String> {
    let jobs = project.environments.values().flat_map(|environment| environment.jobs.values());
    jobs.flat_map(|file| [file.job.name.clone(), file.job.experiment().unwrap_or_default().to_owned()]).collect()
}

/// The trials that an experiment asks for; empty if none of them is archived in an environment.
fn trials_beside_archived(project: &Project, experiment: &str, environment: &str) -> BTreeSet<String> {
    let has_history = project.environments.get(environment).is_some_and(|target| !target.archived.is_empty());
    let source = project.experiments.iter().find(|source| source.experiment.name == experiment);
    let Some(source) = source.filter(|_| has_history) else { return BTreeSet::new() };
    let trials = project.trial_names(&source.experiment);
    if trials.iter().any(|trial| project.is_archived(trial, environment)) { trials } else { BTreeSet::new() }
}

/// The experiment files with their cancelled trials, for the experiments that go on with others: `removed` are environments and paths.
fn trials_taken_out(project: &Project, removed: &BTreeSet<(&str, &str)>) -> Result<Changes> {
    let mut taken_out: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut with_history: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for (environment, path) in removed {
        let Some(file) = project.environments.get(*environment).and_then(|target| target.jobs.get(*path)) else {
            continue;
        };
        let experiment = file.job.experiment().unwrap_or_default();
        let goes_on =
            project.rendered(experiment, environment).any(|(path, _)| !removed.contains(&(environment, path)));
        // what has run is asked for without being rendered, as what goes on is
        let trials = with_history
            .entry((experiment, *environment))
            .or_insert_with(|| trials_beside_archived(project, experiment, environment));
        if goes_on || trials.contains(&file.job.name) {
            taken_out.entry(experiment).or_default().insert(&file.job.name);
        }
    }
    let mut changes = Changes::new();
    for (experiment, jobs) in taken_out {
        // without its experiment nothing renders a job again
        let Some(source) = project.experiments.iter().find(|source| source.experiment.name == experiment) else {
            continue;
        };
        for job in &jobs {
            let others: Vec<String> = rendered(project, job, None)
                .into_iter()
                .filter(|one| !removed.contains(one))
                .map(|(environment, _)| environment.to_owned())
                .collect();
            if !others.is_empty() {
                return Err(Error::CancelledInPart { job: (*job).to_owned(), others });
            }
        }
        let names: Vec<&str> = jobs.iter().copied().collect();
        let changed = with_cancelled(&source.text, &names)
            .ok_or_else(|| Error::NotEditable { file: source.file.clone(), job: names.join(", ") })?;
        changes.insert(source.file.clone(), Some(changed.into_bytes()));
    }
    Ok(changes)
}
