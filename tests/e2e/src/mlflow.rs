//! The content of MLflow's registry, read through the Gateway.

use anyhow::Result;
use serde_json::{Value, json};

use crate::Stack;
use crate::kubectl::text;

/// The model that the experiments register.
pub(crate) const MODEL: &str = "mnist";

/// A registered version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: String,
    /// `READY` if its files are complete.
    pub status: String,
    /// The TrainJob that made it.
    pub job: String,
    /// The digest of its content.
    pub digest: String,
    /// The run that made it.
    pub run: String,
}

/// A run of a TrainJob.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The TrainJob.
    pub job: String,
    /// `RUNNING`, `FINISHED`, `FAILED` or `KILLED`.
    pub status: String,
    /// Its id.
    pub id: String,
}

impl Stack {
    /// The runs of an experiment, sorted by job.
    ///
    /// # Errors
    /// If MLflow cannot be reached, or has no such experiment.
    pub fn runs(&self, experiment: &str) -> Result<Vec<Run>> {
        let api = format!("{}/api/2.0/mlflow", self.url("mlflow"));
        let found = self.ask(&format!("{api}/experiments/get-by-name?experiment_name={experiment}"))?;
        let query = json!({"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 1000});
        let answer = self.http().post(format!("{api}/runs/search")).body(query.to_string());
        let answer = answer.header("Content-Type", "application/json").send()?.error_for_status()?;
        let found: Value = serde_json::from_str(&answer.text()?)?;
        let mut runs: Vec<Run> = found["runs"].as_array().into_iter().flatten().map(run).collect();
        runs.sort();
        Ok(runs)
    }

    /// The registered versions of the built-in trainer's model.
    ///
    /// # Errors
    /// If MLflow cannot be reached.
    pub fn versions(&self) -> Result<Vec<Version>> {
        self.versions_of(MODEL)
    }

    /// The registered versions of a model.
    ///
    /// # Errors
    /// If MLflow cannot be reached.
    pub fn versions_of(&self, model: &str) -> Result<Vec<Version>> {
        let api = format!("{}/api/2.0/mlflow", self.url("mlflow"));
        let found = self.ask(&format!("{api}/model-versions/search?filter=name%3D%27{model}%27&max_results=1000"))?;
        let all = found["model_versions"].as_array().cloned().unwrap_or_default();
        Ok(all.iter().map(version).collect())
    }

    /// The paths of a run's files in one of its folders.
    ///
    /// # Errors
    /// If MLflow cannot be reached.
    pub fn files_of(&self, run: &str, folder: &str) -> Result<Vec<String>> {
        let api = format!("{}/api/2.0/mlflow", self.url("mlflow"));
        let found = self.ask(&format!("{api}/artifacts/list?run_id={run}&path={folder}"))?;
        let files = found["files"].as_array().into_iter().flatten();
        Ok(files.map(|file| text(file, "/path").to_owned()).collect())
    }

    /// When the first loss of a run was logged, in milliseconds since 1970.
    ///
    /// # Errors
    /// If MLflow cannot be reached, or the run has logged no loss.
    pub fn first_step(&self, run: &str) -> Result<u64> {
        let api = format!("{}/api/2.0/mlflow", self.url("mlflow"));
        let found = self.ask(&format!("{api}/metrics/get-history?run_id={run}&metric_key=loss&max_results=1000"))?;
        let times = found["metrics"].as_array().cloned().unwrap_or_default();
        let first = times.iter().filter_map(|one| one["timestamp"].as_u64()).min();
        first.ok_or_else(|| anyhow::anyhow!("run {run} has logged no loss"))
    }
}

fn run(one: &Value) -> Run {
    Run {
        job: tag(&one["data"], "slipway.trainjob"),
        status: text(one, "/info/status").to_owned(),
        id: text(one, "/info/run_id").to_owned(),
    }
}

/// The value of a tag; empty if there is none.
fn tag(of: &Value, key: &str) -> String {
    let tags = of["tags"].as_array().into_iter().flatten();
    tags.filter(|tag| tag["key"] == key).map(|tag| text(tag, "/value").to_owned()).next().unwrap_or_default()
}

fn version(one: &Value) -> Version {
    let tag = |key| tag(one, key);
    Version {
        number: text(one, "/version").to_owned(),
        status: text(one, "/status").to_owned(),
        job: tag("slipway.trainjob"),
        digest: tag("slipway.digest"),
        run: text(one, "/run_id").to_owned(),
    }
}
