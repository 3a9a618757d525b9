//! The grid of an experiment. Its axes hold typed values, so that expanding it cannot fail.

use schemars::JsonSchema;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::trial::Point;
use crate::{Architecture, OptimizerName, Parameter, Work};

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
    pub const PATHS: [&'static str; 8] = [
        "model.architecture",
        "model.dropout",
        "training.batchSize",
        "training.epochs",
        "training.optimizer.learningRate",
        "training.optimizer.name",
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
            Self::Dropout(value) | Self::LearningRate(value) => (*value).into(),
            Self::Epochs(value) | Self::BatchSize(value) | Self::Workers(value) => (*value).into(),
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
            (Self::Architecture(value), Work::BuiltIn { model, .. }) => model.architecture = *value,
            (Self::Dropout(value), Work::BuiltIn { model, .. }) => model.dropout = Some(*value),
            (Self::Epochs(value), Work::BuiltIn { training, .. }) => training.epochs = *value,
            (Self::BatchSize(value), Work::BuiltIn { training, .. }) => training.batch_size = *value,
            (Self::OptimizerName(value), Work::BuiltIn { training, .. }) => training.optimizer.name = *value,
            (Self::LearningRate(value), Work::BuiltIn { training, .. }) => training.optimizer.learning_rate = *value,
            (Self::Seed(value), Work::BuiltIn { training, .. }) => training.seed = *value,
            (Self::Parameter { .. }, Work::BuiltIn { .. }) | (_, Work::Program(_)) => {}
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
