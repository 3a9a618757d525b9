//! What the default branch declares: experiments, their rendered TrainJobs, and which commits brought them.

mod archived;
mod brought;
mod hyperparameters;
mod removed;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use slipway_experiment::{DatasetRef, TrainJob, Trial as Declares};
use slipway_git::Repository;
use slipway_outcome::Branch;
use slipway_project::cluster::{HistorySettings, Prices};
use slipway_project::{Project, Tree};
use slipway_service::{Followed, Warned, blocking};
use tokio::sync::watch;

pub use brought::{Brought, Commits};
pub use removed::RemovedJob;

use crate::promotions::Policy;
use crate::view::Trial;
use crate::watch::Observed;
use archived::{Around, archived};
use hyperparameters::hyperparameters;

/// What the default branch declares.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// The commit; empty before the first one.
    pub commit: String,
    /// The experiments by name.
    pub experiments: BTreeMap<String, DeclaredExperiment>,
    /// The rendered TrainJobs of this environment by name.
    pub jobs: BTreeMap<String, Arc<DeclaredJob>>,
    /// The TrainJobs of this environment whose files were removed and not moved to the history, by name.
    pub removed: Arc<BTreeMap<String, Arc<RemovedJob>>>,
    /// The trials of the history of this environment by name.
    pub archived: Arc<BTreeMap<String, Arc<Trial>>>,
    /// When ended jobs are moved there; `None` if a person does that.
    pub history: Option<HistorySettings>,
    /// What CPUs and GPUs cost; `None` if that is not known.
    pub prices: Option<Prices>,
    /// Which jobs are asked for and which versions are in service, in all environments.
    pub branch: Branch,
    /// Which commits brought and removed the jobs of this environment, and changed its versions in service.
    pub commits: Commits,
}

/// An experiment of the project.
#[derive(Clone, Debug, Default)]
pub struct DeclaredExperiment {
    /// Its file.
    pub file: String,
    /// The content of that file.
    pub source: String,
    /// The name of its dataset.
    pub dataset: String,
    /// The environments that it names.
    pub environments: Vec<String>,
    /// The registered model that its trials become versions of.
    pub model: Option<String>,
    /// What becomes of a version that is better than the one in service.
    pub policy: Policy,
}

/// A rendered TrainJob.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeclaredJob {
    /// Its experiment; empty if it names none.
    pub experiment: String,
    /// Its values of the swept parameters; without a sweep, what it is trained with.
    pub parameters: BTreeMap<String, Value>,
    /// What else it is trained with; empty without a sweep.
    pub fixed: BTreeMap<String, Value>,
    /// How many workers it asks for.
    pub workers: u32,
    /// The CPUs of all workers together.
    pub cpus: f64,
    /// The GPUs of all workers together.
    pub gpus: f64,
    /// The image that they run.
    pub image: String,
    /// The dataset at its content; `None` if the file does not say it.
    pub dataset: Option<DatasetRef>,
    /// The experiment's file; empty if it is not named.
    pub experiment_file: String,
    /// The content of that file; empty if it is not named.
    pub experiment_blob: String,
    /// The registered model that it becomes a version of.
    pub model: Option<String>,
}

impl Declared {
    /// Reads what a commit declares for an environment. `before` is what an earlier one declared, whose history is not read again; `pages` is
    /// where a browser finds MLflow.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub fn read(
        git: &Repository,
        commit: &str,
        environment: &str,
        pages: Option<&str>,
        before: &Self,
    ) -> slipway_proposal::Result<Self> {
        let tree = Tree::at(git, commit)?;
        let commits = Commits::read(git, commit, environment, before)?;
        let branch = Branch::of(&tree);
        let mut project = Project::read(&tree);
        drop(tree);
        let mut declared = Self { commit: commit.to_owned(), branch, commits, ..Self::default() };
        if let Some(found) = project.environments.remove(environment) {
            declared.history = found.cluster.history;
            declared.prices = Some(found.cluster.prices);
            let jobs = found.jobs.into_values().map(|file| file.job);
            declared.jobs = jobs.map(|job| (job.name.clone(), Arc::new(DeclaredJob::of(&job)))).collect();
        }
        declared.removed = Arc::new(removed::jobs(git, environment, &declared, before));
        declared.archived = Arc::new(declared.trials_of_history(environment, pages, before));
        declared.experiments = project
            .experiments
            .into_iter()
            .map(|source| {
                let spec = &source.experiment.spec;
                let experiment = DeclaredExperiment {
                    dataset: spec.dataset.clone(),
                    environments: spec.environments.clone(),
                    model: spec.register.as_ref().map(|register| register.model.clone()),
                    policy: Policy::of(spec, environment),
                    file: source.file,
                    source: source.text,
                };
                (source.experiment.name, experiment)
            })
            .collect();
        Ok(declared)
    }

    /// A TrainJob that the branch asks for, or asked for before.
    pub(crate) fn job(&self, name: &str) -> Option<&Arc<DeclaredJob>> {
        self.jobs.get(name).or_else(|| Some(&self.removed.get(name)?.job))
    }

    /// The trials of the history by name. One whose file has not changed stays the very same value: there may be thousands.
    fn trials_of_history(&self, environment: &str, pages: Option<&str>, before: &Self) -> BTreeMap<String, Arc<Trial>> {
        let mut trials = BTreeMap::new();
        for (job, text) in self.branch.history(environment) {
            let commit = self.commits.first(job).map(|brought| brought.commit.as_str()).unwrap_or_default();
            let is_same = |trial: &&Arc<Trial>| {
                trial.lineage.commit == commit
                    && self.prices == before.prices
                    && before.branch.history_of(environment, job) == Some(text)
            };
            let around = Around { environment, prices: self.prices.as_ref(), pages, commit };
            let trial = match before.archived.get(job).filter(is_same) {
                Some(trial) => Some(Arc::clone(trial)),
                None => archived(job, text, around).map(Arc::new),
            };
            trials.extend(trial.map(|trial| (trial.name.clone(), trial)));
        }
        trials
    }
}

impl DeclaredJob {
    fn of(job: &TrainJob) -> Self {
        // what a worker would refuse is still a job that runs and costs
        let trial: Option<Declares> = job.trial().ok().flatten();
        let nodes = f64::from(job.num_nodes);
        let model = trial.as_ref().and_then(|trial| trial.register.as_ref()).map(|register| register.model.clone());
        let dataset = trial.as_ref().map(|trial| trial.dataset.clone());
        let (parameters, fixed) = trial.map(hyperparameters).unwrap_or_default();
        Self {
            experiment: job.experiment().unwrap_or_default().to_owned(),
            parameters,
            fixed,
            workers: job.num_nodes,
            cpus: nodes * job.cpu_millis as f64 / 1000.0,
            gpus: nodes * f64::from(job.gpus),
            image: job.image.clone(),
            dataset,
            experiment_file: job.experiment_file().unwrap_or_default().to_owned(),
            experiment_blob: job.provenance().blob.unwrap_or_default(),
            model,
        }
    }
}

/// The least time between two looks, however many jobs appear.
const LEAST: Duration = Duration::from_secs(1);

/// Follows the default branch for ever: every now and then, and at once when the cluster has a job that nobody knows, because Argo CD was faster.
pub async fn follow(
    followed: &Followed,
    environment: &str,
    pages: Option<&str>,
    mut observed: watch::Receiver<Arc<Observed>>,
    declared: &watch::Sender<Arc<Declared>>,
) -> Infallible {
    let mut warned = Warned::default();
    let (mut branch, mut strangers) = (None, BTreeSet::new());
    loop {
        let before = Arc::clone(&declared.borrow());
        match step(followed, (environment, pages), &mut branch, &before).await {
            Ok(new) => {
                warned.clear();
                if let Some(new) = new {
                    tracing::info!("the default branch is at {}", new.commit);
                    declared.send_replace(Arc::new(new));
                }
            }
            Err(error) => {
                warned.warn("the default branch cannot be followed", &error);
                // it may have another name now
                branch = None;
            }
        }
        tokio::time::sleep(LEAST.min(followed.pause)).await;
        let rest = followed.pause.saturating_sub(LEAST);
        let known = Arc::clone(&declared.borrow());
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = stranger(&mut observed, &known, &mut strangers) => {}
        }
    }
}

/// Returns once the cluster has a job that the default branch never had, as far as it is known; of each job once.
async fn stranger(observed: &mut watch::Receiver<Arc<Observed>>, known: &Declared, strangers: &mut BTreeSet<String>) {
    let mut is_new = |there: &Arc<Observed>| {
        let unknown = there.trainings.keys().filter(|job| !known.commits.of_jobs.contains_key(*job));
        let before = strangers.len();
        strangers.extend(unknown.cloned());
        strangers.len() > before
    };
    if observed.wait_for(&mut is_new).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What the default branch declares now; `None` if it has not moved. `branch` is its name, once it is known.
async fn step(
    followed: &Followed,
    (environment, pages): (&str, Option<&str>),
    branch: &mut Option<String>,
    before: &Arc<Declared>,
) -> slipway_proposal::Result<Option<Declared>> {
    let name = match branch {
        Some(name) => name,
        None => branch.insert(followed.remote.forge.default_branch().await?),
    };
    let newest = followed.fetch(name).await?.filter(|newest| *newest != before.commit);
    let Some(newest) = newest else { return Ok(None) };
    let (git, before) = (followed.git.clone(), Arc::clone(before));
    let (environment, pages) = (environment.to_owned(), pages.map(str::to_owned));
    blocking(move || Declared::read(&git, &newest, &environment, pages.as_deref(), &before)).await.map(Some)
}
