//! A trial's description in MLflow: parameters, tags and its dataset.

use serde_json::Value;
use slipway_experiment::Trial;
use slipway_mlflow::{DatasetInput, Param, Tag, short_digest};
use slipway_names::{env, tag};

use crate::data::Data;

/// Where a trial comes from: environment variables that the rendered TrainJob sets; `None` if unknown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// `SLIPWAY_EXPERIMENT_BLOB`: the content of the experiment file, as the id of its blob in git.
    pub(crate) blob: Option<String>,
    /// `SLIPWAY_COMMIT`: the commit that holds the experiment file, of jobs that do not name its content.
    pub(crate) commit: Option<String>,
    /// `SLIPWAY_EXPERIMENT_FILE`: its path in the repository.
    pub(crate) experiment_file: Option<String>,
}

impl Origin {
    /// Reads this process's environment.
    pub(crate) fn read() -> Self {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            blob: read(env::EXPERIMENT_BLOB),
            commit: read(env::COMMIT),
            experiment_file: read(env::EXPERIMENT_FILE),
        }
    }

    /// Tags that lead from a run or a version back to what made it.
    pub(crate) fn tags(&self, trial: &Trial) -> Vec<Tag> {
        let mut tags = vec![Tag::new(tag::TRAINJOB, &trial.name), Tag::new(tag::DATASET_DIGEST, &trial.dataset.digest)];
        tags.extend(self.blob.as_ref().map(|blob| Tag::new(tag::EXPERIMENT_BLOB, blob)));
        tags.extend(self.commit.as_ref().map(|commit| Tag::new(tag::COMMIT, commit)));
        tags.extend(self.experiment_file.as_ref().map(|file| Tag::new(tag::EXPERIMENT_FILE, file)));
        tags
    }
}

/// The trial's content with dotted names, such as `training.optimizer.learningRate`.
pub(crate) fn params(trial: &Trial) -> Vec<Param> {
    let mut params = Vec::new();
    // a trial was read from JSON, so it can be written as such
    if let Ok(Value::Object(mut fields)) = serde_json::to_value(trial) {
        // the swept values are in the trial itself, at their own paths
        fields.remove("parameters");
        flatten(String::new(), &Value::Object(fields), &mut params);
    }
    params
}

fn flatten(path: String, value: &Value, params: &mut Vec<Param>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, params);
            }
        }
        Value::String(text) => params.push(Param::new(path, text)),
        other => params.push(Param::new(path, other.to_string())),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::trial;

    #[test]
    fn params_have_dotted_names() {
        let params = params(&trial());
        let get = |key: &str| params.iter().find(|p| p.key == key).map(|p| p.value.as_str());
        assert_eq!(get("training.optimizer.learningRate"), Some("0.001"));
        assert_eq!(get("model.architecture"), Some("cnn"));
        assert_eq!(get("register.require.accuracy"), Some(">= 0.97"));
        assert!(params.iter().all(|p| !p.key.starts_with("parameters")));
    }

    #[test]
    fn tags_lead_back() {
        let keys = |origin: Origin| origin.tags(&trial()).into_iter().map(|tag| tag.key).collect::<Vec<_>>();
        let [content, commit, file] = ["c0ffee", "decade", "experiments/a.yaml"].map(|text| Some(text.to_owned()));
        assert_eq!(
            keys(Origin { blob: content, commit: None, experiment_file: file }),
            ["slipway.trainjob", "slipway.dataset-digest", "slipway.experiment-blob", "slipway.experiment-file"]
        );
        // of a job that was rendered before it named the content
        let before = Origin { blob: None, commit, experiment_file: None };
        assert_eq!(keys(before), ["slipway.trainjob", "slipway.dataset-digest", "slipway.commit"]);
    }
}
