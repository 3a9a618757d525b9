//! The project's experiments.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Json;
use super::operation::{Asked, Named, Nothing, Operation};
use super::problem::Problem;
use super::shared::Shared;
use crate::view::{self, Cost, Trial, TrialState};

/// `GET /api/v1/experiments`
pub(crate) struct List;

/// All experiments.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Experiments {
    /// By name.
    experiments: Vec<ExperimentSummary>,
}

/// An experiment without the content of its file.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ExperimentSummary {
    /// Its name.
    name: String,
    /// Its file, relative to the project; empty if only its trials are left.
    file: String,
    /// The name of its dataset.
    dataset: String,
    /// The environments that it names.
    environments: Vec<String>,
    /// The registered model that its trials become versions of.
    model: Option<String>,
    /// How many trials are in each state.
    states: BTreeMap<TrialState, usize>,
    /// When the first worker of its newest trial started, RFC 3339.
    last_started: Option<String>,
    /// The CPU-hours that its trials have used so far.
    cpu_hours: f64,
    /// What they cost so far.
    cost: Option<Cost>,
}

impl From<&view::Experiment> for ExperimentSummary {
    fn from(experiment: &view::Experiment) -> Self {
        // without `..`: a new field is left out on purpose or not at all
        let view::Experiment {
            name,
            file,
            source: _,
            dataset,
            environments,
            model,
            states,
            last_started,
            cpu_hours,
            cost,
        } = experiment.clone();
        Self { name, file, dataset, environments, model, states, last_started, cpu_hours, cost }
    }
}

impl Operation for List {
    const PATH: &'static str = "/api/v1/experiments";
    const ID: &'static str = "listExperiments";
    const SUMMARY: &'static str = "All experiments, without their sources";

    type Path = Nothing;
    type Query = Nothing;
    type Body = ();
    type Answer = Json<Experiments>;

    async fn answer(shared: Arc<Shared>, _: Asked<Self>) -> Result<Self::Answer, Problem> {
        let experiments = shared.now().experiments.values().map(|one| ExperimentSummary::from(one.as_ref())).collect();
        Ok(Json(Experiments { experiments }))
    }
}

/// `GET /api/v1/experiments/{name}`
pub(crate) struct One;

/// An experiment with its trials.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ExperimentWithTrials {
    #[serde(flatten)]
    experiment: view::Experiment,
    /// Its trials, by name.
    trials: Vec<Trial>,
}

impl Operation for One {
    const PATH: &'static str = "/api/v1/experiments/{name}";
    const ID: &'static str = "getExperiment";
    const SUMMARY: &'static str = "An experiment with its source and its trials";
    const PROBLEMS: &'static [(u16, &'static str)] = &[(404, "No experiment has this name.")];

    type Path = Named;
    type Query = Nothing;
    type Body = ();
    type Answer = Json<ExperimentWithTrials>;

    async fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> Result<Self::Answer, Problem> {
        let experiment = shared.experiment(&asked.path.name)?.as_ref().clone();
        let now = shared.now();
        let found = now.all().filter(|trial| trial.experiment == experiment.name);
        let mut trials: Vec<Trial> = found.map(|trial| trial.as_ref().clone()).collect();
        trials.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(Json(ExperimentWithTrials { experiment, trials }))
    }
}
