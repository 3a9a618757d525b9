//! The experiment file as types. [`parse`](crate::parse()) makes one from text; a value of these types has passed every check.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Bound, Deadline, Metric, Quantity, Sweep};

/// One experiment: `experiments/<name>.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Experiment {
    /// `metadata.name`: an RFC 1035 label. Names the TrainJobs (`<name>-<hash8>`) and the MLflow experiment.
    pub name: String,
    /// What to train, on what, how often and for how much.
    pub spec: Spec,
}

/// What to train, on what, how often and for how much.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Spec {
    /// The name of a dataset that `datasets/<name>.yaml` declares.
    #[schemars(schema_with = "crate::schema::label")]
    pub dataset: String,
    /// The network.
    pub model: Model,
    /// How it is trained.
    pub training: Training,
    /// A grid: each point is one trial, one TrainJob. Without it there is one trial.
    #[serde(skip_serializing_if = "Sweep::is_empty")]
    #[schemars(default)]
    pub sweep: Sweep,
    /// The processes of one trial, and what each of them gets.
    pub workers: Workers,
    /// What the experiment may cost at most.
    pub budget: Budget,
    /// Register the trained model when it passes its gate. Without it nothing is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub register: Option<Register>,
    /// Raise it to run an unchanged experiment again: it is part of every trial's identity. Absent means 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub rerun: Option<u32>,
    /// The overlays that the TrainJobs are rendered into.
    #[schemars(default = "default_environments", schema_with = "crate::schema::labels")]
    pub environments: Vec<String>,
}

/// Where TrainJobs go when the file does not say.
pub(crate) fn default_environments() -> Vec<String> {
    vec!["local".to_owned()]
}

/// The network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Model {
    /// Its architecture.
    pub architecture: Architecture,
    /// The share of units dropped while training, 0 to less than 1. Absent means the architecture's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub dropout: Option<f64>,
}

/// A network that the trainer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Architecture {
    /// Fully connected layers.
    Mlp,
    /// Convolutions with pooling, then fully connected layers.
    Cnn,
}

/// How the network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Training {
    /// Passes over the training split.
    #[schemars(range(min = 1, max = 10_000))]
    pub epochs: u32,
    /// Images a step over all workers together; must be divisible by their number.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: u32,
    /// What moves the parameters.
    pub optimizer: Optimizer,
    /// Seeds initialisation, shuffling and dropout.
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_u64))]
    pub seed: u64,
}

/// What moves the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Optimizer {
    /// Which one.
    pub name: OptimizerName,
    /// Its learning rate, more than 0 and at most 10.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 10))]
    pub learning_rate: f64,
}

/// An optimizer that the trainer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum OptimizerName {
    /// Adam.
    Adam,
    /// Stochastic gradient descent.
    Sgd,
}

/// The processes of one trial, and what each of them gets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Workers {
    /// How many processes train one trial together.
    #[schemars(range(min = 1, max = 1000))]
    pub count: u32,
    /// CPU of each: whole cores (`"1"`) or thousandths (`500m`).
    #[schemars(schema_with = "crate::schema::cpu")]
    pub cpu: Quantity,
    /// Memory of each: `512Mi`, `2Gi`.
    #[schemars(schema_with = "crate::schema::memory")]
    pub memory: Quantity,
}

/// What the experiment may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Budget {
    /// At least trials × workers × cpu × deadline, the most that the experiment can use. In hours of one CPU.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub cpu_hours: f64,
    /// How long one trial may run (`30m`, `1h30m`, `90s`); the job enforces it.
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
    /// Bounds that the finished trial's metrics must meet, such as `accuracy: ">= 0.97"`. Empty registers every trial.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::require")]
    pub require: BTreeMap<Metric, Bound>,
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ }) => {
        impl $type {
            /// Every word that a file may use here, with what it means.
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

words!(Architecture { Mlp = "mlp", Cnn = "cnn" });
words!(OptimizerName { Adam = "adam", Sgd = "sgd" });
