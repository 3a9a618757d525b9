//! What the manager knows about experiments and their trials: what the REST interface answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Everything at one moment. A new one replaces it whenever something has changed.
#[derive(Clone, Debug, Default)]
pub struct Trainings {
    /// The commit of the default branch that this was read from.
    pub commit: String,
    /// Experiments by name.
    pub experiments: BTreeMap<String, Arc<Experiment>>,
    /// Trials by the names of their TrainJobs: those in the cluster, and those whose files are on the default branch.
    pub trials: BTreeMap<String, Arc<Trial>>,
    /// The trials in the history, by the same names. It may be long, and changes with the default branch alone.
    pub archived: Arc<BTreeMap<String, Arc<Trial>>>,
}

impl Trainings {
    /// Every trial once, in no order. One that is in the history and elsewhere is as it is elsewhere.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Trial>> {
        let archived = self.archived.iter().filter(|(name, _)| !self.trials.contains_key(*name));
        self.trials.values().chain(archived.map(|(_, trial)| trial))
    }

    /// The trial with this name.
    #[must_use]
    pub fn trial(&self, name: &str) -> Option<&Arc<Trial>> {
        self.trials.get(name).or_else(|| self.archived.get(name))
    }
}

/// An experiment of the project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Experiment {
    /// Its name.
    pub name: String,
    /// Its file, relative to the project; empty if only its trials are left.
    pub file: String,
    /// The content of that file; empty if there is none.
    pub source: String,
    /// The name of its dataset.
    pub dataset: String,
    /// The environments that it names.
    pub environments: Vec<String>,
    /// The registered model that its trials become versions of.
    pub model: Option<String>,
    /// How many trials are in each state.
    pub states: BTreeMap<TrialState, usize>,
    /// When the first worker of its newest trial started, RFC 3339.
    pub last_started: Option<String>,
    /// The CPU-hours that its trials have used so far.
    pub cpu_hours: f64,
    /// What they cost so far; `null` if that of one of them is not known.
    pub cost: Option<Cost>,
}

/// One point of an experiment's sweep, which one TrainJob runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// The name of its TrainJob.
    pub name: String,
    /// Its experiment.
    pub experiment: String,
    /// Where it runs.
    pub environment: String,
    /// How far it is.
    pub state: TrialState,
    /// Why it waits, was refused or failed, in words for a person.
    pub reason: Option<String>,
    /// What to do about that.
    pub advice: Option<String>,
    /// Its values of the swept parameters. Without a sweep, what it is trained with.
    pub parameters: BTreeMap<String, Value>,
    /// What else a trial of a sweep is trained with: the fields of the network and its training, or of the program, that are not swept.
    pub fixed: BTreeMap<String, Value>,
    /// When its TrainJob was made, RFC 3339.
    pub created: Option<String>,
    /// When its first worker started, RFC 3339.
    pub started: Option<String>,
    /// When it ended, RFC 3339.
    pub ended: Option<String>,
    /// How long it has run, in seconds, in all of its attempts.
    pub seconds: Option<f64>,
    /// How far its training is; `None` before it begins and after it has ended.
    pub progress: Option<Progress>,
    /// The newest value of each metric; in JSON, one that is not a finite number is `null`.
    #[serde(deserialize_with = "numbers")]
    #[schemars(with = "BTreeMap<String, Option<f64>>")]
    pub metrics: BTreeMap<String, f64>,
    /// How many workers it asks for.
    pub workers: u32,
    /// The state of each worker that is in the cluster, by rank.
    pub worker_states: Vec<Worker>,
    /// The CPU-hours that it has used so far.
    pub cpu_hours: Option<f64>,
    /// The GPU-hours that it has used so far.
    pub gpu_hours: Option<f64>,
    /// What it has cost so far; `null` if its GPUs have no price.
    pub cost: Option<Cost>,
    /// Its run in MLflow.
    pub run: Option<Run>,
    /// The registered model that it becomes a version of.
    pub model: Option<String>,
    /// The version that it registered.
    pub version: Option<u64>,
    /// What it was made from.
    pub lineage: Lineage,
    /// Whether its file was moved to the history.
    pub archived: bool,
    /// How its file left the default branch, if it was not moved to the history; `null` as long as it is there.
    pub removed: Option<Removal>,
}

/// How a trial's file left the default branch without being moved to the history. Its results stay in MLflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Removal {
    /// The commit that removed it brought other trials of its experiment.
    Replaced,
    /// The commit that removed it brought no other trial of its experiment.
    Cancelled,
}

/// How far a trial is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TrialState {
    /// Not all of its workers have started.
    #[default]
    Waiting,
    /// Its workers run.
    Running,
    /// It finished.
    Finished,
    /// It finished, and its gate refused it.
    Refused,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl TrialState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Running, Self::Finished, Self::Refused, Self::Failed, Self::Cancelled];

    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it can still change by itself.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }
}

/// How far a training is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// From 0 to 100.
    pub percent: u32,
    /// How long the rest will take, in seconds, as far as that can be known.
    pub remaining_seconds: Option<u64>,
}

/// A worker of a trial.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// Its rank, from 0.
    pub rank: u32,
    /// Its pod.
    pub pod: String,
    /// The node that the pod is on; empty until it is on one.
    pub node: String,
    /// How far it is, as Kubernetes calls it: `Pending`, `Running`, `Succeeded`, `Failed`.
    pub phase: String,
    /// How often its container was started again.
    pub restarts: u32,
}

/// A sum of money.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// How much.
    pub amount: f64,
    /// The currency, such as `USD`.
    pub currency: String,
}

/// A run in MLflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Its page, if it is known where a browser finds MLflow.
    pub url: Option<String>,
}

/// What a trial was made from. What is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lineage {
    /// The dataset's name.
    pub dataset: String,
    /// The digest of the dataset's content.
    pub dataset_digest: String,
    /// The experiment's file.
    pub experiment_file: String,
    /// The content of that file: the id of its blob in git.
    pub experiment_blob: String,
    /// The commit of the default branch that brought the TrainJob's file.
    pub commit: String,
    /// The pull request that did.
    pub pull_request: Option<PullRequest>,
    /// The image that its workers run.
    pub image: String,
}

/// A pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
}

/// Numbers, where JSON has `null` for one that is not finite.
fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let numbers = BTreeMap::<String, Option<f64>>::deserialize(from)?;
    Ok(numbers.into_iter().map(|(name, number)| (name, number.unwrap_or(f64::NAN))).collect())
}
