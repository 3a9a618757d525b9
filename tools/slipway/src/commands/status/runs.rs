//! What a TrainJob runs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use slipway_experiment::{Code, Trial};
use slipway_project::plan::parameters;
use slipway_project::trainer_folder;

/// What a TrainJob runs, such as `trainers/cnn learningRate=0.001`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Runs {
    /// `trainers/<name>` or an image; `None` for the built-in trainer.
    program: Option<String>,
    /// The values of the swept fields.
    parameters: BTreeMap<String, Value>,
}

impl Runs {
    pub(super) fn new(trial: Trial) -> Self {
        let program = trial.work.program().map(|program| match &program.code {
            Code::Trainer(name) => trainer_folder(name),
            Code::Image(image) => image.clone(),
        });
        Self { program, parameters: trial.parameters }
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [self.program.clone().unwrap_or_default(), parameters(&self.parameters)];
        f.write_str(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
    }
}
