//! What the built-in trainer trains, and how: `spec.model` and `spec.training`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use slipway_architecture::Architecture;

use crate::spec::words;

/// The network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Model {
    /// The architecture.
    pub architecture: Architecture,
    /// The share of units dropped during training, from 0 to less than 1. The default depends on the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub dropout: Option<f64>,
}

/// How the network is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Training {
    /// Passes over the training split.
    #[schemars(range(min = 1, max = 10_000))]
    pub epochs: u32,
    /// Images per step, over all workers; must be divisible by the number of workers.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: u32,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Seed of initialisation, shuffling, augmentation and dropout.
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_u64))]
    pub seed: u64,
    /// How the learning rate changes from step to step. Without this field it stays the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Random changes to each training image, other ones in every epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
    /// Ends training when it brings nothing more, and keeps the weights of the best epoch. Without this field, the last epoch's are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
}

/// The optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Optimizer {
    /// The algorithm.
    pub name: OptimizerName,
    /// The learning rate, more than 0 and at most 10.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 10))]
    pub learning_rate: f64,
    /// Momentum of `sgd`, from 0 to less than 1. The default is 0.9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub momentum: Option<f64>,
    /// Pulls every weight towards 0, from 0 to 1. `sgd` and `adam` add it to the gradient, with 0 as the default; `adamw` applies it apart from
    /// the gradient, with 0.01 as the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub weight_decay: Option<f64>,
}

/// An optimizer that the trainer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum OptimizerName {
    /// Adam.
    Adam,
    /// Stochastic gradient descent.
    Sgd,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// How the learning rate changes from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Schedule {
    /// What happens after the warm-up.
    pub name: ScheduleName,
    /// Epochs in which the learning rate rises from 0, fewer than all. The default is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_999))]
    pub warmup_epochs: Option<u32>,
    /// For `step`: epochs from one change of the learning rate to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub every: Option<u32>,
    /// For `step`: what the learning rate is multiplied by at each change, more than 0 and less than 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub factor: Option<f64>,
}

/// A schedule that the trainer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ScheduleName {
    /// The learning rate stays the same.
    Constant,
    /// It falls to 0 along half a cosine.
    Cosine,
    /// It is multiplied by `factor` after `every` so many epochs.
    Step,
}

/// Random changes to each training image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline, extend("minProperties" = 1))]
pub struct Augmentation {
    /// The most pixels by which an image is moved, in each direction. The default is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_024))]
    pub shift: Option<u32>,
    /// The most degrees by which an image is turned, in each direction. The default is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 180))]
    pub rotation: Option<f64>,
}

/// When training ends before its last epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct EarlyStopping {
    /// Epochs in a row without a better accuracy on the validation split.
    #[schemars(range(min = 1, max = 10_000))]
    pub patience: u32,
}

words!(OptimizerName { Adam = "adam", Sgd = "sgd", Adamw = "adamw" });
words!(ScheduleName { Constant = "constant", Cosine = "cosine", Step = "step" });

impl Schedule {
    /// What a sweep starts from if the experiment has no schedule.
    pub(crate) const NONE: Self = Self { name: ScheduleName::Constant, warmup_epochs: None, every: None, factor: None };
}

impl Augmentation {
    /// What a sweep starts from if the experiment has no augmentation.
    pub(crate) const NONE: Self = Self { shift: None, rotation: None };
}

/// A value that no parsed experiment has.
pub(crate) struct Impossible {
    /// Dotted path below the trial.
    pub(crate) field: &'static str,
    pub(crate) found: String,
    pub(crate) expected: &'static str,
}

/// The first value that no parsed experiment has, except for the batch size, which depends on the workers.
pub(crate) fn impossible(model: &Model, training: &Training) -> Option<Impossible> {
    let Training { epochs, optimizer, schedule, augmentation, early_stopping, .. } = training;
    let schedule = schedule.unwrap_or(Schedule::NONE);
    let augmentation = augmentation.unwrap_or(Augmentation::NONE);
    let share = |number: f64| (0.0..1.0).contains(&number);
    let steps = schedule.name == ScheduleName::Step;
    let checks = [
        ("model.dropout", number(model.dropout, share), "0 to less than 1"),
        ("training.epochs", number(Some(*epochs), |epochs| epochs > 0), "at least 1"),
        (
            "training.optimizer.learningRate",
            number(Some(optimizer.learning_rate), |rate| rate > 0.0 && rate.is_finite()),
            "more than 0",
        ),
        (
            "training.optimizer.momentum",
            number(optimizer.momentum, |momentum| share(momentum) && optimizer.name == OptimizerName::Sgd),
            "0 to less than 1, and only with sgd",
        ),
        (
            "training.optimizer.weightDecay",
            number(optimizer.weight_decay, |decay| (0.0..=1.0).contains(&decay)),
            "0 to 1",
        ),
        ("training.schedule.warmupEpochs", number(schedule.warmup_epochs, |n| n < *epochs), "fewer than the epochs"),
        (
            "training.schedule.every",
            of_step(schedule.every, steps, |every| every > 0),
            "at least 1, and only with step",
        ),
        (
            "training.schedule.factor",
            of_step(schedule.factor, steps, |factor| factor > 0.0 && share(factor)),
            "more than 0 and less than 1, and only with step",
        ),
        (
            "training.augmentation.rotation",
            number(augmentation.rotation, |degrees| (0.0..=180.0).contains(&degrees)),
            "0 to 180",
        ),
        ("training.earlyStopping.patience", number(early_stopping.map(|one| one.patience), |n| n > 0), "at least 1"),
    ];
    let first = checks.into_iter().find_map(|(field, found, expected)| Some((field, found?, expected)));
    first.map(|(field, found, expected)| Impossible { field, found, expected })
}

/// The text of a number that is present and does not fit.
fn number<T: Copy + ToString>(value: Option<T>, fits: impl Fn(T) -> bool) -> Option<String> {
    value.filter(|value| !fits(*value)).map(|value| value.to_string())
}

/// The same for a setting that the schedule `step` must have, and no other one may have.
fn of_step<T: Copy + ToString>(value: Option<T>, steps: bool, fits: impl Fn(T) -> bool) -> Option<String> {
    match value {
        None if steps => Some("absent".to_owned()),
        None => None,
        Some(_) => number(value, |value| steps && fits(value)),
    }
}
