//! The experiment file as types. [`parse`](crate::parse()) makes them from text; what it returns has passed every check.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Bound, Deadline, Metric, Promote, Quantity, Sweep, Work};

/// One experiment: `experiments/<name>.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Experiment {
    /// `metadata.name`: an RFC 1035 label. Names the TrainJobs (`<name>-<hash8>`) and the MLflow experiment.
    pub name: String,
    /// What to train, on which dataset, how many times and within which budget.
    pub spec: Spec,
}

/// What to train, on which dataset, how many times and within which budget.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Spec {
    /// The name of a dataset that `datasets/<name>.yaml` declares.
    #[schemars(schema_with = "crate::schema::label")]
    pub dataset: String,
    /// What each trial runs: `model` and `training`, or `program` and `parameters`. The schema lists them one by one.
    #[serde(flatten)]
    #[schemars(skip)]
    pub work: Work,
    /// A grid of values. Each point is one trial and one TrainJob; without a sweep there is one trial.
    #[serde(skip_serializing_if = "Sweep::is_empty")]
    #[schemars(default)]
    pub sweep: Sweep,
    /// TrainJobs of the sweep that are not rendered, by their names: `slipway cancel` adds them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default, schema_with = "crate::schema::jobs")]
    pub cancelled: Vec<String>,
    /// The processes of one trial, and the CPU, memory and GPUs of each.
    pub workers: Workers,
    /// The most that the experiment may cost.
    pub budget: Budget,
    /// Registers the trained model if it passes its gate. Without this field nothing is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub register: Option<Register>,
    /// What becomes of a version that beats the one in service: `never`, `propose`, or `merge` in some environments.
    #[serde(skip_serializing_if = "Promote::is_default")]
    #[schemars(default, schema_with = "crate::schema::promote")]
    pub promote: Promote,
    /// Part of every trial's identity: raise it to run an unchanged experiment again. The default is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub rerun: Option<u32>,
    /// The overlays that the TrainJobs are rendered into.
    #[schemars(default = "default_environments", schema_with = "crate::schema::labels")]
    pub environments: Vec<String>,
}

/// The overlays of an experiment that names none.
pub(crate) fn default_environments() -> Vec<String> {
    vec!["local".to_owned()]
}

/// The processes of one trial, and the CPU, memory and GPUs of each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Workers {
    /// The number of processes that train one trial together.
    #[schemars(range(min = 1, max = 1000))]
    pub count: u32,
    /// CPU of each process: cores (`"1"`) or thousandths of a core (`500m`).
    #[schemars(schema_with = "crate::schema::cpu")]
    pub cpu: Quantity,
    /// Memory of each process, such as `512Mi` or `2Gi`.
    #[schemars(schema_with = "crate::schema::memory")]
    pub memory: Quantity,
    /// GPUs of each process. More than 0 needs a program of one's own, and `budget.gpuHours`.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(default, range(max = 64))]
    pub gpu: u32,
}

/// Whether a field that is left out if it is 0 is left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The most that the experiment may cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Budget {
    /// CPU-hours. Must be at least trials × workers × cpu × deadline, the most that the experiment can use.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub cpu_hours: f64,
    /// GPU-hours. Required if workers have GPUs; must then be at least trials × workers × gpu × deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub gpu_hours: Option<f64>,
    /// How long one trial may run, such as `30m`, `1h30m` or `90s`. A job that runs longer is stopped.
    pub deadline: Deadline,
}

/// The registry entry of a trained model, and its gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Register {
    /// The registered model's name.
    #[schemars(schema_with = "crate::schema::label")]
    pub model: String,
    /// Bounds that the metrics of the finished trial must meet, such as `accuracy: ">= 0.97"`. Without bounds every trial is registered.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::require")]
    pub require: BTreeMap<Metric, Bound>,
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ }) => {
        impl $type {
            /// Every word that a file may use here, with its value.
            pub(crate) const WORDS: &'static [(&'static str, $type)] = &[$(($word, $type::$variant)),+];

            /// The word that files use.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $word),+ }
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;
