//! What came of a merged pull request, as the cluster, MLflow and the default branch know it now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use slipway_cluster::{State, Training};
use slipway_forge::Opened;
use slipway_mlflow::{Client, ModelVersion};
use slipway_names::tag::TRAINJOB;
use slipway_proposal::best_version;
use slipway_report::{
    Document, ExperimentResults, ModelResult, Promotion, Results, TrialResult, Version, results_report,
};

use crate::recorded::described;
use crate::runs::Runs;
use crate::{Branch, Merged, Result, Seen, Started, StartedTrial, state};

/// What results are made from, besides what the pull request did.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// The default branch.
    pub branch: &'a Branch,
    /// MLflow; why there is none otherwise.
    pub mlflow: std::result::Result<&'a Client, &'a String>,
    /// The only environment to report on, and its cluster's TrainJobs by name; `None` for all environments, as MLflow knows them.
    pub cluster: Option<(&'a str, &'a BTreeMap<String, Arc<Training>>)>,
    /// The only environment to report on, where no cluster is known; `None` for all.
    pub environment: Option<&'a str>,
    /// Other pull requests, among which promotions are looked for.
    pub newest: &'a [Opened],
    /// Where a browser finds MLflow.
    pub pages: Option<&'a str>,
    /// Where everything is that does not fit.
    pub everything: Option<&'a str>,
}

impl<'a> Now<'a> {
    /// All environments, as MLflow knows them.
    #[must_use]
    pub fn new(mlflow: std::result::Result<&'a Client, &'a String>, branch: &'a Branch, newest: &'a [Opened]) -> Self {
        Self { branch, mlflow, cluster: None, environment: None, newest, pages: None, everything: None }
    }
}

/// What came of a merged pull request.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What the report says.
    pub results: Results,
    /// The models that its trials become versions of.
    pub models: Vec<Registered>,
}

/// A model that trials become versions of, in an environment.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The place in [`Results::experiments`] of the experiment that they belong to.
    pub at: usize,
    /// The model.
    pub model: String,
    /// Every version of it, of these trials and of others.
    pub versions: Vec<ModelVersion>,
    /// The best version of these trials.
    pub best: Option<ModelVersion>,
    /// The number of the version in service.
    pub in_service: Option<u64>,
}

impl Outcome {
    /// The report.
    #[must_use]
    pub fn document(&self) -> Document {
        results_report(&self.results)
    }

    /// Whether MLflow could not be asked, so that the report lacks something.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        !self.results.unknown.is_empty()
    }
}

impl Merged {
    /// What came of it. That MLflow is away, or goes away in the middle, is in the results, and the rest of them is there.
    ///
    /// # Errors
    /// When a run's tag cannot be read.
    pub async fn outcome(&self, now: &Now<'_>) -> Result<Outcome> {
        let only = now.cluster.map(|(environment, _)| environment).or(now.environment);
        let is_here = |environment: &str| only.is_none_or(|only| only == environment);
        let started: Vec<&Started> = self.started.iter().filter(|one| is_here(&one.environment)).collect();
        let shared = self.environments().len() > 1;
        let mut results = Results {
            number: Some(self.number),
            commit: self.commit.clone(),
            environment: only.filter(|_| shared).map(str::to_owned),
            in_service: self.in_service.iter().filter(|one| is_here(&one.environment)).cloned().collect(),
            stopped: self.stopped.iter().filter(|(environment, _)| is_here(environment)).map(|(_, count)| count).sum(),
            archived: self
                .archived
                .iter()
                .filter(|(environment, _)| is_here(environment))
                .map(|(_, count)| count)
                .sum(),
            everything: now.everything.map(str::to_owned),
            ..Results::default()
        };
        let mut models = Vec::new();
        let mut known = match now.mlflow {
            Ok(client) => Some(client),
            Err(why) => {
                let lacks = !started.is_empty() || results.in_service.iter().any(|one| one.after.is_some());
                results.unknown.extend(lacks.then(|| why.clone()));
                None
            }
        };
        for one in started {
            let runs = match known {
                None => Runs::default(),
                Some(client) => match Runs::of(client, one).await {
                    Ok(runs) => runs,
                    Err(error) => {
                        // the next one would wait for as long
                        known = None;
                        results.unknown.push(error.to_string());
                        Runs::default()
                    }
                },
            };
            let trials = one.trials.iter().map(|trial| result(now, &one.environment, &runs, trial));
            let mut trials: Vec<TrialResult> = trials.collect::<Result<_>>()?;
            let mut model = None;
            if let (Some(name), Some(client)) = (&one.model, known) {
                match client.search_model_versions(name).await {
                    Ok(versions) => {
                        let at = results.experiments.len();
                        let (result, registered) = registered(now, one, name, &trials, versions, at);
                        for version in &registered.versions {
                            if let Some(trial) = trials.iter_mut().find(|trial| trial.name == version.tag(TRAINJOB)) {
                                trial.version = Some(version.number());
                            }
                        }
                        models.push(registered);
                        model = Some(result);
                    }
                    Err(error) => {
                        known = None;
                        results.unknown.push(format!("the versions of {name}: {error}"));
                    }
                }
            }
            results.experiments.push(ExperimentResults {
                experiment: one.experiment.clone(),
                environment: one.environment.clone(),
                ranking: one.ranking.clone(),
                trials,
                model,
            });
        }
        // how good a version was that only goes out of service is not said
        let replaced: BTreeSet<&str> =
            results.in_service.iter().filter(|one| one.after.is_some()).map(|one| one.model.as_str()).collect();
        let mut versions = Vec::new();
        for model in replaced {
            let Some(client) = known else { break };
            match client.search_model_versions(model).await {
                Ok(found) => {
                    let changes = results.in_service.iter().filter(|one| one.model == model);
                    let numbers: BTreeSet<u64> = changes.flat_map(|one| [one.before, one.after]).flatten().collect();
                    let found = found.iter().filter(|version| numbers.contains(&version.number()));
                    versions.extend(found.map(|version| (model.to_owned(), described(version))));
                }
                Err(error) => {
                    known = None;
                    results.unknown.push(format!("the versions of {model}: {error}"));
                }
            }
        }
        results.versions = versions;
        Ok(Outcome { results, models })
    }
}

/// What is known of a trial.
fn result(now: &Now<'_>, environment: &str, runs: &Runs, trial: &StartedTrial) -> Result<TrialResult> {
    let name = &trial.start.name;
    let seen = match now.cluster {
        None => Seen::Unknown,
        Some((_, trainings)) => trainings.get(name).map_or(Seen::Gone, |training| Seen::There(training)),
    };
    let run = runs.run(name);
    let mut result = TrialResult {
        name: name.clone(),
        parameters: trial.start.parameters.clone(),
        planned_cpu_hours: trial.start.cpu_hours,
        planned_gpu_hours: trial.start.gpu_hours,
        state: state(run, seen, now.branch.asks_for(environment, name))?,
        url: now.pages.zip(run).map(|(pages, run)| run_page(pages, &run.experiment_id, &run.run_id)),
        ..TrialResult::default()
    };
    let training = if let Seen::There(training) = seen { Some(training) } else { None };
    let ended = training.and_then(|training| training.ended).map(|ended| ended.as_millisecond());
    runs.describe(&mut result, trial, ended);
    if let (None, Some(training)) = (run, training) {
        hold(&mut result, trial, training);
    }
    // the history knows what MLflow has lost
    if run.is_none()
        && let Some(record) = now.branch.record(environment, name)
    {
        return Ok(result.with_record(&record));
    }
    Ok(result)
}

/// What a TrainJob without a run has used, as the cluster knows it.
fn hold(result: &mut TrialResult, trial: &StartedTrial, training: &Training) {
    if matches!(training.state, State::Waiting) {
        return;
    }
    if let (Some(started), Some(ended)) = (training.started, training.ended) {
        let seconds = (ended.as_millisecond() - started.as_millisecond()) as f64 / 1000.0;
        result.seconds = Some(seconds.max(0.0));
        result.cpu_hours = trial.cpus.map(|cpus| seconds.max(0.0) / 3600.0 * cpus);
        result.gpu_hours = trial.gpus.map(|gpus| seconds.max(0.0) / 3600.0 * gpus);
    }
}

/// The page of a run in MLflow, whose pages are at `pages`.
#[must_use]
pub fn run_page(pages: &str, experiment: &str, run: &str) -> String {
    format!("{}/#/experiments/{experiment}/runs/{run}", pages.trim_end_matches('/'))
}

/// The model that the trials register: the best version of theirs beside the one in service.
fn registered(
    now: &Now<'_>,
    started: &Started,
    model: &str,
    trials: &[TrialResult],
    versions: Vec<ModelVersion>,
    at: usize,
) -> (ModelResult, Registered) {
    let is_own = |version: &&ModelVersion| trials.iter().any(|trial| trial.name == version.tag(TRAINJOB));
    let own: Vec<ModelVersion> = versions.iter().filter(is_own).cloned().collect();
    let (best, no_best) = match best_version(model, &own) {
        Ok(best) => (Some(best.clone()), None),
        Err(error) => (None, own.iter().any(|version| version.status == "READY").then(|| error.to_string())),
    };
    let environment = &started.environment;
    let pinned = now.branch.pins.get(environment).and_then(|pins| pins.get(model)).map(|pin| pin.version);
    let in_service = pinned.map(|number| {
        let known = versions.iter().find(|version| version.number() == number);
        known.map_or_else(|| Version { number, ..Version::default() }, described)
    });
    let promotion = match &best {
        Some(best) if pinned != Some(best.number()) => {
            let is_it = |one: &&Opened| {
                one.is_open() && slipway_proposal::Promotion::is_one(one, model, best.number(), environment)
            };
            let open = now.newest.iter().find(is_it);
            open.map(|open| Promotion { number: open.number, url: Some(open.url.clone()) })
        }
        _ => None,
    };
    let result =
        ModelResult { model: model.to_owned(), best: best.as_ref().map(described), no_best, in_service, promotion };
    (result, Registered { at, model: model.to_owned(), versions, best, in_service: pinned })
}
