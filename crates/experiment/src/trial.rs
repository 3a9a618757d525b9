//! A trial: one point of an experiment's grid, with its identity.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use slipway_digest::Digest;

use crate::spec::is_zero;
use crate::training::{Impossible, impossible};
use crate::{Experiment, Model, Program, Register, Training, Work};

/// A dataset with the content that `datasets/<name>.yaml` pins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatasetRef {
    /// The declared name.
    pub name: String,
    /// `sha256:` and 64 hexadecimal digits: the SHA-256 of the dataset's manifest.
    pub digest: String,
}

/// Everything that a worker must know about what it trains: the content of `SLIPWAY_TRIAL`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Shape")]
pub struct Trial {
    /// `<experiment>-<hash8>`: the TrainJob's and the MLflow run's name.
    pub name: String,
    /// The experiment's name.
    pub experiment: String,
    /// The dataset that it trains on.
    pub dataset: DatasetRef,
    /// What it runs: the network and its training, or a program.
    #[serde(flatten)]
    pub work: Work,
    /// The number of processes that train it together: the world size.
    pub workers: u32,
    /// The number of GPUs of each process.
    #[serde(skip_serializing_if = "is_zero")]
    pub gpu: u32,
    /// The point of the sweep: each swept path with its value. Empty without a sweep.
    pub parameters: BTreeMap<String, Value>,
    /// What to register, and the gate; `None` registers nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub register: Option<Register>,
}

/// A trial as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Shape {
    name: String,
    experiment: String,
    dataset: DatasetRef,
    program: Option<Program>,
    model: Option<Model>,
    training: Option<Training>,
    workers: u32,
    #[serde(default)]
    gpu: u32,
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    register: Option<Register>,
}

impl TryFrom<Shape> for Trial {
    type Error = &'static str;

    fn try_from(shape: Shape) -> Result<Self, Self::Error> {
        let work = match (shape.program, shape.model, shape.training) {
            (Some(program), None, None) => Work::Program(program),
            (None, Some(model), Some(training)) => Work::BuiltIn { model, training },
            _ => return Err("it has `model` and `training`, or `program`, and nothing of the other"),
        };
        let Shape { name, experiment, dataset, workers, gpu, parameters, register, .. } = shape;
        Ok(Self { name, experiment, dataset, work, workers, gpu, parameters, register })
    }
}

/// Why a text is not a trial.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// Not JSON, or not a trial.
    #[error("the trial is not what `slipway render` writes: {0}")]
    Shape(#[from] serde_json::Error),
    /// A value that no rendered trial can have.
    #[error("the trial is not what `slipway render` writes: {field} is {found}, expected {expected}")]
    Field {
        /// Dotted path.
        field: &'static str,
        /// The offending value.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
}

/// What a sweep can change: one point of the grid.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) work: Work,
    pub(crate) workers: u32,
}

impl Trial {
    /// Reads `SLIPWAY_TRIAL`.
    ///
    /// # Errors
    /// If the text is not a trial that [`render`](crate::render()) can have written.
    pub fn from_json(text: &str) -> Result<Self, TrialError> {
        let trial: Self = serde_json::from_str(text)?;
        let wrong =
            |field, found: &dyn ToString, expected| TrialError::Field { field, found: found.to_string(), expected };
        if trial.dataset.digest.parse::<Digest>().is_err() {
            return Err(wrong("dataset.digest", &trial.dataset.digest, "sha256: and 64 hexadecimal digits"));
        }
        if trial.workers == 0 {
            return Err(wrong("workers", &trial.workers, "at least 1"));
        }
        match &trial.work {
            Work::BuiltIn { model, training } => trial.check_built_in(model, training, wrong)?,
            Work::Program(program) if program.command.is_empty() => {
                return Err(wrong("program.command", &"[]", "a program to start"));
            }
            Work::Program(_) => {}
        }
        Ok(trial)
    }

    fn check_built_in(
        &self,
        model: &Model,
        training: &Training,
        wrong: impl Fn(&'static str, &dyn ToString, &'static str) -> TrialError,
    ) -> Result<(), TrialError> {
        if let Some(Impossible { field, found, expected }) = impossible(model, training) {
            return Err(TrialError::Field { field, found, expected });
        }
        if training.batch_size == 0 || !training.batch_size.is_multiple_of(self.workers) {
            return Err(wrong("training.batchSize", &training.batch_size, "a multiple of the number of workers"));
        }
        let required = self.register.iter().flat_map(|register| register.require.keys());
        if let Some(metric) = required.into_iter().find(|metric| !metric.is_built_in()) {
            return Err(wrong("register.require", metric, "accuracy or validation_accuracy"));
        }
        Ok(())
    }

    /// The trial on one line of JSON, as `SLIPWAY_TRIAL` holds it. Deterministic: fields in their declared order, maps sorted.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("a trial holds strings, numbers and maps with string keys, which are always JSON")
    }
}

impl Experiment {
    /// The trials, in the grid's order: axes sorted by path, values as in the file, the last axis moving fastest.
    ///
    /// Names are unique within the result and the same on every machine.
    pub fn trials(&self, dataset: &DatasetRef) -> Vec<Trial> {
        let count = self.spec.sweep.len();
        let mut names = HashSet::with_capacity(count);
        (0..count).map(|index| self.trial(index, dataset, &mut names)).collect()
    }

    pub(crate) fn point(&self, choice: &[usize]) -> Point {
        let mut point = Point { work: self.spec.work.clone(), workers: self.spec.workers.count };
        for (axis, &value) in self.spec.sweep.axes.iter().zip(choice) {
            axis.values[value].apply(&mut point);
        }
        point
    }

    fn trial(&self, index: usize, dataset: &DatasetRef, names: &mut HashSet<String>) -> Trial {
        let choice = self.spec.sweep.point(index);
        let point = self.point(&choice);
        let axes = self.spec.sweep.axes.iter().zip(&choice);
        let mut trial = Trial {
            name: String::new(),
            experiment: self.name.clone(),
            dataset: dataset.clone(),
            work: match point.work {
                Work::Program(program) => Work::Program(program.substituted()),
                built_in => built_in,
            },
            workers: point.workers,
            gpu: self.spec.workers.gpu,
            parameters: axes.map(|(axis, &value)| (axis.path.clone(), axis.values[value].to_json())).collect(),
            register: self.spec.register.clone(),
        };
        let mut attempt = 0;
        loop {
            trial.name = format!("{}-{}", self.name, self.hash8(&trial, attempt));
            if names.insert(trial.name.clone()) {
                return trial;
            }
            // Two trials of one grid may have the same eight digits (1 in 10,000 grids of 1,000): the later one takes others.
            attempt += 1;
        }
    }

    /// The first 8 hexadecimal digits of the SHA-256 over everything that decides what a job does, except image and commit.
    fn hash8(&self, trial: &Trial, attempt: u32) -> String {
        let mut content = json!({
            "trial": trial,
            "resources": {"cpu": self.spec.workers.cpu.to_string(), "memory": self.spec.workers.memory.to_string()},
            "deadline": self.spec.budget.deadline.seconds(),
            "rerun": self.spec.rerun.unwrap_or(1),
        });
        content["trial"]["name"] = Value::Null;
        if attempt > 0 {
            content["attempt"] = attempt.into();
        }
        let mut text = String::with_capacity(768);
        canonical(&content, &mut text);
        Digest::of(text).hex()[..8].to_owned()
    }
}

/// JSON with sorted keys and no spaces, so that the identity does not depend on the order of fields in a type.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                canonical(value, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
