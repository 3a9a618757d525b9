//! The grid of an experiment. Its axes hold typed values, so that expanding it cannot fail.

use schemars::JsonSchema;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::trial::Point;
use crate::{
    Architecture, Augmentation, EarlyStopping, Model, OptimizerName, Parameter, Schedule, ScheduleName, Training, Work,
};

/// One value of one swept field.
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// `model.architecture`
    Architecture(Architecture),
    /// `model.dropout`
    Dropout(f64),
    /// `training.epochs`
    Epochs(u32),
    /// `training.batchSize`
    BatchSize(u32),
    /// `training.optimizer.name`
    OptimizerName(OptimizerName),
    /// `training.optimizer.learningRate`
    LearningRate(f64),
    /// `training.optimizer.momentum`
    Momentum(f64),
    /// `training.optimizer.weightDecay`
    WeightDecay(f64),
    /// `training.schedule.name`
    ScheduleName(ScheduleName),
    /// `training.schedule.warmupEpochs`
    WarmupEpochs(u32),
    /// `training.schedule.every`
    Every(u32),
    /// `training.schedule.factor`
    Factor(f64),
    /// `training.augmentation.shift`
    Shift(u32),
    /// `training.augmentation.rotation`
    Rotation(f64),
    /// `training.earlyStopping.patience`
    Patience(u32),
    /// `training.seed`
    Seed(u64),
    /// `workers.count`
    Workers(u32),
    /// `parameters.<name>`
    Parameter {
        /// The parameter's name.
        name: String,
        /// Its value.
        value: Parameter,
    },
}

impl Setting {
    /// Every path that a sweep of the built-in trainer may name, relative to `spec`.
    pub const PATHS: [&'static str; 17] = [
        "model.architecture",
        "model.dropout",
        "training.augmentation.rotation",
        "training.augmentation.shift",
        "training.batchSize",
        "training.earlyStopping.patience",
        "training.epochs",
        "training.optimizer.learningRate",
        "training.optimizer.momentum",
        "training.optimizer.name",
        "training.optimizer.weightDecay",
        "training.schedule.every",
        "training.schedule.factor",
        "training.schedule.name",
        "training.schedule.warmupEpochs",
        "training.seed",
        Self::WORKERS,
    ];

    /// The field that any experiment may sweep.
    pub const WORKERS: &'static str = "workers.count";

    /// What stands before the name of a swept parameter.
    pub const PARAMETERS: &'static str = "parameters.";

    /// The value as JSON, as in a trial's `parameters`.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Architecture(value) => value.as_str().into(),
            Self::OptimizerName(value) => value.as_str().into(),
            Self::ScheduleName(value) => value.as_str().into(),
            Self::Dropout(value)
            | Self::LearningRate(value)
            | Self::Momentum(value)
            | Self::WeightDecay(value)
            | Self::Factor(value)
            | Self::Rotation(value) => (*value).into(),
            Self::Epochs(value)
            | Self::BatchSize(value)
            | Self::WarmupEpochs(value)
            | Self::Every(value)
            | Self::Shift(value)
            | Self::Patience(value)
            | Self::Workers(value) => (*value).into(),
            Self::Seed(value) => (*value).into(),
            Self::Parameter { value, .. } => value.to_json(),
        }
    }

    /// Sets the field. Reading a sweep has refused the fields that the work does not have.
    pub(crate) fn apply(&self, point: &mut Point) {
        match (self, &mut point.work) {
            (Self::Workers(value), _) => point.workers = *value,
            (Self::Parameter { name, value }, Work::Program(program)) => {
                program.parameters.insert(name.clone(), value.clone());
            }
            (setting, Work::BuiltIn { model, training }) => setting.apply_built_in(model, training),
            (_, Work::Program(_)) => {}
        }
    }

    fn apply_built_in(&self, model: &mut Model, training: &mut Training) {
        match self {
            Self::Architecture(value) => model.architecture = *value,
            Self::Dropout(value) => model.dropout = Some(*value),
            Self::Epochs(value) => training.epochs = *value,
            Self::BatchSize(value) => training.batch_size = *value,
            Self::OptimizerName(value) => training.optimizer.name = *value,
            Self::LearningRate(value) => training.optimizer.learning_rate = *value,
            Self::Momentum(value) => training.optimizer.momentum = Some(*value),
            Self::WeightDecay(value) => training.optimizer.weight_decay = Some(*value),
            Self::ScheduleName(value) => training.schedule.get_or_insert(Schedule::NONE).name = *value,
            Self::WarmupEpochs(value) => training.schedule.get_or_insert(Schedule::NONE).warmup_epochs = Some(*value),
            Self::Every(value) => training.schedule.get_or_insert(Schedule::NONE).every = Some(*value),
            Self::Factor(value) => training.schedule.get_or_insert(Schedule::NONE).factor = Some(*value),
            Self::Shift(value) => training.augmentation.get_or_insert(Augmentation::NONE).shift = Some(*value),
            Self::Rotation(value) => training.augmentation.get_or_insert(Augmentation::NONE).rotation = Some(*value),
            Self::Patience(patience) => training.early_stopping = Some(EarlyStopping { patience: *patience }),
            Self::Seed(value) => training.seed = *value,
            Self::Workers(_) | Self::Parameter { .. } => {}
        }
    }
}

/// One swept field with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The field, relative to `spec`: one of [`Setting::PATHS`], or `parameters.<name>`.
    pub path: String,
    /// The values in the file's order, without duplicates.
    pub values: Vec<Setting>,
}

/// The grid: every combination of every axis's values is one trial. Axes are sorted by path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sweep {
    /// The swept fields.
    pub axes: Vec<Axis>,
}

impl Sweep {
    /// Whether no field is swept, so that there is one trial.
    pub fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }

    /// The number of points; `usize::MAX` if there are more.
    pub fn len(&self) -> usize {
        self.axes.iter().fold(1, |product, axis| product.saturating_mul(axis.values.len()))
    }

    /// The values of one point, as an index into each axis. The last axis moves fastest.
    pub(crate) fn point(&self, index: usize) -> Vec<usize> {
        let mut rest = index;
        let mut choice = vec![0; self.axes.len()];
        for (slot, axis) in choice.iter_mut().zip(&self.axes).rev() {
            *slot = rest % axis.values.len();
            rest /= axis.values.len();
        }
        choice
    }
}

impl Serialize for Sweep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.axes.len()))?;
        for axis in &self.axes {
            let values: Vec<Value> = axis.values.iter().map(Setting::to_json).collect();
            map.serialize_entry(&axis.path, &values)?;
        }
        map.end()
    }
}

impl JsonSchema for Sweep {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sweep".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        crate::schema::sweep(generator)
    }
}
