//! A trial's dataset in MLflow.

use slipway_experiment::Trial;
use slipway_mlflow::{DatasetInput, short_digest};
use slipway_names::env;

use crate::data::Data;

/// The dataset in MLflow's form.
pub(crate) fn inputs(trial: &Trial, data: &Data) -> Vec<DatasetInput> {
    let hex = trial.dataset.digest.trim_start_matches("sha256:");
    let bucket = std::env::var(env::DATASETS).unwrap_or_else(|_| "s3://datasets".to_owned());
    let source = serde_json::json!({
        "uri": format!("{}/manifests/sha256/{hex}.json", bucket.trim_end_matches('/')),
        "digest": trial.dataset.digest,
    });
    let schema = serde_json::json!({"mlflow_tensorspec": {
        "features": serde_json::json!([{"name": "image", "type": "tensor", "tensor-spec":
            {"dtype": "uint8", "shape": [-1, data.train.height, data.train.width]}}]).to_string(),
        "targets": serde_json::json!([{"name": "label", "type": "tensor", "tensor-spec":
            {"dtype": "uint8", "shape": [-1]}}]).to_string(),
    }});
    let profile = serde_json::json!({
        "train": data.train.count, "validation": data.validation.count, "test": data.test.count, "classes": data.classes,
    });
    vec![DatasetInput {
        name: trial.dataset.name.clone(),
        digest: short_digest(&trial.dataset.digest).to_owned(),
        source_type: "s3".to_owned(),
        source: source.to_string(),
        schema: Some(schema.to_string()),
        profile: Some(profile.to_string()),
        context: Some("training".to_owned()),
    }]
}
