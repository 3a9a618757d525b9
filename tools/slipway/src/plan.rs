//! What a change of the files starts, stops and costs. Shown before anything happens, in the terminal and in the pull request.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::failure::count;
use crate::project::{ExperimentFile, Project, Wanted};

/// What happens when the experiments that were asked for are rendered and merged.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// Only what is not empty: an experiment in an environment.
    pub(crate) changes: Vec<Change>,
    /// The most that everything that starts can use.
    pub(crate) cpu_hours: f64,
}

/// One experiment in one environment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    pub(crate) environment: String,
    pub(crate) experiment: String,
    /// None for jobs whose experiment is gone.
    pub(crate) file: Option<String>,
    /// TrainJobs that start.
    pub(crate) starts: Vec<Start>,
    /// TrainJobs whose files go: running ones are cancelled, finished ones stay finished.
    pub(crate) stops: Vec<String>,
    /// How many TrainJobs stay as they are.
    pub(crate) stays: usize,
    /// The most that what starts can use.
    pub(crate) cpu_hours: f64,
    /// What the experiment may use altogether.
    pub(crate) budget_cpu_hours: Option<f64>,
    /// Price of `cpu_hours`.
    pub(crate) cost: f64,
    /// Such as `USD`.
    pub(crate) currency: String,
}

/// A TrainJob that starts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Start {
    pub(crate) name: String,
    /// The point of the sweep.
    pub(crate) parameters: BTreeMap<String, Value>,
    pub(crate) workers: u32,
    pub(crate) cpu_hours: f64,
}

impl Plan {
    /// Compares what the experiments want with what is rendered in `base`. Jobs of experiments that are gone stop too, when
    /// `only` names them or names none.
    pub(crate) fn new(base: &Project, project: &Project, only: Option<&BTreeSet<String>>) -> Self {
        let asked = |name: &str| only.is_none_or(|names| names.contains(name));
        let mut changes = Vec::new();
        for (environment, place) in &project.environments {
            for source in project.experiments.iter().filter(|source| asked(&source.experiment.name)) {
                changes.extend(Change::of(base, project, environment, source));
            }
            let there: BTreeSet<&str> =
                project.experiments.iter().map(|source| source.experiment.name.as_str()).collect();
            let mut gone: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for file in base.environments.get(environment).into_iter().flat_map(|place| place.jobs.values()) {
                let experiment = file.job.experiment().unwrap_or_default();
                if asked(experiment) && !there.contains(experiment) {
                    gone.entry(experiment).or_default().push(file.job.name.clone());
                }
            }
            changes.extend(gone.into_iter().map(|(experiment, stops)| Change {
                environment: environment.clone(),
                experiment: experiment.to_owned(),
                file: None,
                starts: Vec::new(),
                stops,
                stays: 0,
                cpu_hours: 0.0,
                budget_cpu_hours: None,
                cost: 0.0,
                currency: place.cluster.prices.currency.clone(),
            }));
        }
        let cpu_hours = changes.iter().map(|change| change.cpu_hours).sum();
        Self { changes, cpu_hours }
    }

    /// One line: `starts 2 TrainJobs, stops 1`.
    pub(crate) fn summary(&self) -> String {
        let starts: usize = self.changes.iter().map(|change| change.starts.len()).sum();
        let stops: usize = self.changes.iter().map(|change| change.stops.len()).sum();
        let stays: usize = self.changes.iter().map(|change| change.stays).sum();
        if starts + stops == 0 {
            return format!("nothing to do: {} as the experiments want", count(stays, "TrainJob"));
        }
        let mut text = format!("starts {}", count(starts, "TrainJob"));
        if stops > 0 {
            let _ = write!(text, ", stops {}", count(stops, "TrainJob"));
        }
        if stays > 0 {
            let _ = write!(text, ", {stays} stay");
        }
        let _ = write!(text, "; at most {} CPU-hours, {}", number(self.cpu_hours), self.price());
        text
    }

    /// The price of all that starts, by currency.
    fn price(&self) -> String {
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for change in &self.changes {
            *sums.entry(&change.currency).or_default() += change.cost;
        }
        sums.iter().map(|(currency, cost)| format!("{cost:.2} {currency}")).collect::<Vec<_>>().join(" + ")
    }
}

impl Change {
    fn of(base: &Project, project: &Project, environment: &str, source: &ExperimentFile) -> Option<Self> {
        let experiment = &source.experiment;
        let wanted = project.wanted(source, environment, None);
        let there: BTreeSet<&str> = base.rendered(&experiment.name, environment).map(|(path, _)| path).collect();
        let mut new: Vec<&Wanted> =
            wanted.iter().filter(|(path, _)| !there.contains(path.as_str())).map(|(_, job)| job).collect();
        // In the order of the sweep, which a person has written.
        new.sort_by_key(|job| job.index);
        let starts: Vec<Start> = new
            .into_iter()
            .map(|job| Start {
                name: job.trial.name.clone(),
                parameters: job.trial.parameters.clone(),
                workers: job.trial.workers,
                cpu_hours: job.cpu_hours,
            })
            .collect();
        let stops: Vec<String> = base
            .rendered(&experiment.name, environment)
            .filter(|(path, _)| !wanted.contains_key(*path))
            .map(|(_, file)| file.job.name.clone())
            .collect();
        if wanted.is_empty() && stops.is_empty() {
            return None;
        }
        let prices = &project.environments.get(environment)?.cluster.prices;
        let cpu_hours: f64 = starts.iter().map(|start| start.cpu_hours).sum();
        Some(Self {
            environment: environment.to_owned(),
            experiment: experiment.name.clone(),
            file: Some(source.file.clone()),
            stays: wanted.len() - starts.len(),
            starts,
            stops,
            cpu_hours,
            budget_cpu_hours: Some(experiment.spec.budget.cpu_hours),
            cost: cpu_hours * prices.cpu_hour,
            currency: prices.currency.clone(),
        })
    }
}

/// `learningRate=0.001`: the last word of each swept path is enough where no other ends like it.
pub(crate) fn parameters(parameters: &BTreeMap<String, Value>) -> String {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let text = parameters.iter().map(|(path, value)| {
        let short = last(path);
        let unique = parameters.keys().filter(|other| last(other) == short).count() == 1;
        format!("{}={value}", if unique { short } else { path.clone() })
    });
    text.collect::<Vec<_>>().join(", ")
}

/// At most two digits after the point, none that say nothing.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
