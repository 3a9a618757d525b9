//! What came of a merged pull request, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use slipway_experiment::{JobState, Record, Score};

use crate::in_service::InService;

/// The metrics that mean accuracy, the best known first.
const ACCURACIES: [&str; 3] = ["test_accuracy", "accuracy", "validation_accuracy"];

/// What came of a merged pull request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Results {
    /// Its number; `None` if it has none.
    pub number: Option<u64>,
    /// The commit of the base branch that merged it; empty if it is not known.
    pub commit: String,
    /// The only environment that this is about; `None` for all of them.
    pub environment: Option<String>,
    /// One for each experiment and environment that it started something in.
    pub experiments: Vec<ExperimentResults>,
    /// How many TrainJobs it removed: those that ran were cancelled.
    pub stopped: usize,
    /// How many TrainJobs it moved to the history: they had ended.
    pub archived: usize,
    /// Which versions it put into service, or took out of it.
    pub in_service: Vec<InService>,
    /// How good those versions are, by the model: the new ones and those that they replace, as far as it is known.
    pub versions: Vec<(String, Version)>,
    /// Why something is not known, such as that MLflow does not answer: one text each.
    pub unknown: Vec<String>,
    /// The address of everything that does not fit; see [`About::everything`](crate::About::everything).
    pub everything: Option<String>,
}

/// What came of an experiment in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExperimentResults {
    /// The experiment.
    pub experiment: String,
    /// The environment.
    pub environment: String,
    /// The metric by which trials are compared; `None` for the accuracy on test data.
    pub ranking: Option<Ranking>,
    /// Its trials that the pull request started.
    pub trials: Vec<TrialResult>,
    /// The model that it registers; `None` if it registers nothing.
    pub model: Option<ModelResult>,
}

/// A metric by which trials are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranking {
    /// Its name.
    pub metric: String,
    /// Whether more is better.
    pub more_is_better: bool,
}

impl Ranking {
    /// What trials with these metrics are compared by: what is asked for, otherwise their accuracy on the best known data. Returns `None` if
    /// none of them has one.
    #[must_use]
    pub fn among<'a>(
        asked: Option<&Self>,
        trials: impl Iterator<Item = &'a BTreeMap<String, f64>> + Clone,
    ) -> Option<Self> {
        if let Some(asked) = asked {
            return Some(asked.clone());
        }
        let has = |metric: &str| trials.clone().any(|metrics| metrics.contains_key(metric));
        let metric = ACCURACIES.into_iter().find(|metric| has(metric))?;
        Some(Self { metric: metric.to_owned(), more_is_better: true })
    }

    /// The place of a trial with these metrics: less is better, and what has no value comes last.
    #[must_use]
    pub fn rank(&self, metrics: &BTreeMap<String, f64>) -> f64 {
        match metrics.get(&self.metric).filter(|value| value.is_finite()) {
            Some(value) if self.more_is_better => -value,
            Some(value) => *value,
            None => f64::INFINITY,
        }
    }
}

/// One trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrialResult {
    /// The TrainJob's name.
    pub name: String,
    /// Its values of the swept parameters.
    pub parameters: BTreeMap<String, Value>,
    /// How far it is.
    pub state: TrialState,
    /// The address of its run.
    pub url: Option<String>,
    /// The epochs that are done, and all of them; `None` for a program of one's own.
    pub epochs: Option<(u32, u32)>,
    /// The last value of each metric.
    pub metrics: BTreeMap<String, f64>,
    /// The history of metrics as pairs of step and value, in the order of steps. Those that have two steps are drawn.
    pub curves: BTreeMap<String, Vec<(f64, f64)>>,
    /// How long it has run, in seconds.
    pub seconds: Option<f64>,
    /// The CPU-hours that it has used.
    pub cpu_hours: Option<f64>,
    /// The GPU-hours that it has used.
    pub gpu_hours: Option<f64>,
    /// The most CPU-hours that its plan allowed.
    pub planned_cpu_hours: f64,
    /// The most GPU-hours that its plan allowed.
    pub planned_gpu_hours: f64,
    /// The version that it registered.
    pub version: Option<u64>,
}

/// How far a trial is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TrialState {
    /// It has not begun.
    Waiting(Option<Hindrance>),
    /// It runs.
    Running,
    /// It finished.
    Finished,
    /// It finished, and its gate refused it: why.
    Refused(String),
    /// It failed: why.
    Failed(String),
    /// It was cancelled.
    Cancelled,
}

/// Why a trial cannot begin.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hindrance {
    /// Why, in one line.
    pub reason: String,
    /// What to do, in one line; empty if nothing is known.
    pub advice: String,
}

/// What became of a registered model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelResult {
    /// The registered model's name.
    pub model: String,
    /// The best version that the pull request's trials registered.
    pub best: Option<Version>,
    /// Why there is no best one although they registered some.
    pub no_best: Option<String>,
    /// The version in service in the environment.
    pub in_service: Option<Version>,
    /// The pull request that puts the best one into service.
    pub promotion: Option<Promotion>,
}

/// A version of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Version {
    /// Its number in the registry.
    pub number: u64,
    /// The TrainJob that registered it; empty if it is not known.
    pub job: String,
    /// What it is compared by, such as its accuracy on the test data; `None` if it has nothing of that.
    pub score: Option<Score>,
    /// The digest of the dataset whose test data that is; empty if it is not known.
    pub dataset_digest: String,
    /// The address of its page.
    pub url: Option<String>,
}

/// A pull request that puts a version into service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: Option<String>,
}

impl Default for TrialState {
    fn default() -> Self {
        Self::Waiting(None)
    }
}

impl TrialResult {
    /// The same with what the history has of it, in place of what is not known.
    #[must_use]
    pub fn with_record(self, record: &Record) -> Self {
        let result = &record.result;
        let reason = result.reason.clone().unwrap_or_default();
        Self {
            state: match result.state {
                JobState::Finished => TrialState::Finished,
                JobState::Refused => TrialState::Refused(reason),
                JobState::Failed => TrialState::Failed(reason),
                JobState::Cancelled => TrialState::Cancelled,
            },
            metrics: if self.metrics.is_empty() { result.metrics.clone() } else { self.metrics },
            seconds: self.seconds.or(result.seconds),
            cpu_hours: self.cpu_hours.or(result.cpu_hours),
            gpu_hours: self.gpu_hours.or(result.gpu_hours),
            version: self.version.or(result.version),
            ..self
        }
    }
}

impl TrialState {
    /// Whether nothing more comes.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !matches!(self, Self::Waiting(_) | Self::Running)
    }
}
