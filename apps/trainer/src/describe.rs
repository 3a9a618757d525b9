//! A trial's dataset in MLflow.

use serde_json::json;
use slipway_experiment::Trial;
use slipway_job::dataset_input;
use slipway_mlflow::DatasetInput;

use crate::data::Data;

/// The dataset in MLflow's form.
pub(crate) fn input(trial: &Trial, data: &Data) -> DatasetInput {
    let schema = json!({"mlflow_tensorspec": {
        "features": json!([{"name": "image", "type": "tensor", "tensor-spec":
            {"dtype": "uint8", "shape": [-1, data.train.height, data.train.width]}}]).to_string(),
        "targets": json!([{"name": "label", "type": "tensor", "tensor-spec":
            {"dtype": "uint8", "shape": [-1]}}]).to_string(),
    }});
    let profile = json!({
        "train": data.train.count, "validation": data.validation.count, "test": data.test.count, "classes": data.classes,
    });
    dataset_input(&trial.dataset, Some(&schema), &profile)
}
