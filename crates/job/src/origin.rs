//! Where a trial comes from, as tags, and its content, as parameters of a run.

use serde_json::Value;
use slipway_experiment::Trial;
use slipway_mlflow::{Param, Tag};
use slipway_names::{env, tag};

/// Where a trial comes from: environment variables that the rendered TrainJob sets; `None` if unknown.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// `SLIPWAY_EXPERIMENT_BLOB`: the content of the experiment file, as the id of its blob in git.
    pub blob: Option<String>,
    /// `SLIPWAY_COMMIT`: the commit that holds the experiment file, of jobs that do not name its content.
    pub commit: Option<String>,
    /// `SLIPWAY_EXPERIMENT_FILE`: its path in the repository.
    pub experiment_file: Option<String>,
}

impl Origin {
    /// Reads this process's environment.
    pub fn read() -> Self {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            blob: read(env::EXPERIMENT_BLOB),
            commit: read(env::COMMIT),
            experiment_file: read(env::EXPERIMENT_FILE),
        }
    }

    /// Tags that lead from a run or a version back to what made it.
    pub fn tags(&self, trial: &Trial) -> Vec<Tag> {
        let mut tags = vec![Tag::new(tag::TRAINJOB, &trial.name), Tag::new(tag::DATASET_DIGEST, &trial.dataset.digest)];
        tags.extend(self.blob.as_ref().map(|blob| Tag::new(tag::EXPERIMENT_BLOB, blob)));
        tags.extend(self.commit.as_ref().map(|commit| Tag::new(tag::COMMIT, commit)));
        tags.extend(self.experiment_file.as_ref().map(|file| Tag::new(tag::EXPERIMENT_FILE, file)));
        tags
    }
}

/// The trial's content with dotted names, such as `training.optimizer.learningRate`.
pub fn params(trial: &Trial) -> Vec<Param> {
    let mut params = Vec::new();
    // a trial was read from JSON, so it can be written as such
    if let Ok(Value::Object(mut fields)) = serde_json::to_value(trial) {
        // the swept values are in the trial itself, at their own paths
        fields.remove("parameters");
        // at the paths that the experiment has for them; a program that logs them itself under their own names finds these names free
        let own =
            fields.get_mut("program").and_then(Value::as_object_mut).and_then(|program| program.remove("parameters"));
        fields.extend(own.map(|own| ("parameters".to_owned(), own)));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn trial() -> Trial {
        let digest = format!("sha256:{}", "0".repeat(64));
        Trial::from_json(
            &serde_json::json!({
                "name": "mnist-cnn-1a2b3c4d", "experiment": "mnist-cnn",
                "dataset": {"name": "mnist-10k", "digest": digest},
                "model": {"architecture": "cnn", "dropout": 0.25},
                "training": {"epochs": 3, "batchSize": 64, "optimizer": {"name": "adam", "learningRate": 0.001}, "seed": 7},
                "workers": 2, "parameters": {"training.optimizer.learningRate": 0.001},
                "register": {"model": "mnist", "require": {"accuracy": ">= 0.97"}},
            })
            .to_string(),
        )
        .unwrap()
    }

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
