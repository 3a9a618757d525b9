//! Runs: one training each, with its parameters, metrics and tags.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::batch::{self, Batch};
use crate::values::{read_optional_int64, read_pairs};
use crate::{Client, Metric, Param, Result, Tag};

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RunStatus {
    /// Running.
    Running,
    /// Not started yet.
    Scheduled,
    /// Finished successfully.
    Finished,
    /// Ended by an error.
    Failed,
    /// Stopped from outside.
    Killed,
}

/// A run as MLflow keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id, 32 hexadecimal digits.
    pub run_id: String,
    /// Its name; need not be unique.
    pub run_name: String,
    /// The experiment that it belongs to.
    pub experiment_id: String,
    /// Its status.
    pub status: RunStatus,
    /// Milliseconds since 1970.
    pub start_time: Option<i64>,
    /// Milliseconds since 1970; `None` while it runs.
    pub end_time: Option<i64>,
    /// The root of its artifacts, such as `mlflow-artifacts:/1/<run_id>/artifacts`.
    pub artifact_uri: String,
    /// The last value of each metric.
    pub metrics: BTreeMap<String, f64>,
    /// The step of the last value of each metric.
    pub steps: BTreeMap<String, i64>,
    /// Its parameters.
    pub params: BTreeMap<String, String>,
    /// Its tags, MLflow's own (`mlflow.…`) among them.
    pub tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Answer {
    run: WireRun,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    runs: Vec<WireRun>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct History {
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct Points {
    #[serde(default)]
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
struct WireRun {
    info: Info,
    #[serde(default)]
    data: Data,
}

#[derive(Deserialize)]
struct Info {
    run_id: String,
    #[serde(default)]
    run_name: String,
    experiment_id: String,
    status: RunStatus,
    #[serde(default, deserialize_with = "read_optional_int64")]
    start_time: Option<i64>,
    #[serde(default, deserialize_with = "read_optional_int64")]
    end_time: Option<i64>,
    #[serde(default)]
    artifact_uri: String,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default, deserialize_with = "read_pairs")]
    params: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "read_pairs")]
    tags: BTreeMap<String, String>,
}

impl From<WireRun> for Run {
    fn from(WireRun { info, data }: WireRun) -> Self {
        Self {
            run_id: info.run_id,
            run_name: info.run_name,
            experiment_id: info.experiment_id,
            status: info.status,
            start_time: info.start_time,
            end_time: info.end_time,
            artifact_uri: info.artifact_uri,
            steps: data.metrics.iter().map(|metric| (metric.key.clone(), metric.step)).collect(),
            metrics: data.metrics.into_iter().map(|metric| (metric.key, metric.value)).collect(),
            params: data.params,
            tags: data.tags,
        }
    }
}

#[derive(Serialize)]
struct LogBatch<'a> {
    run_id: &'a str,
    #[serde(flatten)]
    batch: &'a Batch<'a>,
}

impl Client {
    /// Starts a run; `start_time` in milliseconds since 1970.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn create_run(&self, experiment_id: &str, run_name: &str, tags: &[Tag], start_time: i64) -> Result<Run> {
        let body =
            json!({ "experiment_id": experiment_id, "run_name": run_name, "start_time": start_time, "tags": tags });
        Ok(self.create::<Answer>("runs/create", &body).await?.run.into())
    }

    /// The run with this id.
    ///
    /// # Errors
    /// When there is no such run, or MLflow fails.
    pub async fn get_run(&self, run_id: &str) -> Result<Run> {
        Ok(self.get::<Answer>("runs/get", &[("run_id", run_id)]).await?.run.into())
    }

    /// Every run of these experiments that matches `filter`, from all pages. `filter` (such as `tags."slipway.trainjob" = 'x'`) and
    /// `order_by` (such as `metrics.accuracy DESC`) use MLflow's search syntax; empty means no filter and no order.
    ///
    /// # Errors
    /// When MLflow refuses (a filter that it does not understand) or fails.
    pub async fn search_runs(&self, experiment_ids: &[&str], filter: &str, order_by: &[&str]) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        let mut token = String::new();
        loop {
            let mut body = json!({ "experiment_ids": experiment_ids, "filter": filter, "order_by": order_by, "max_results": 1000 });
            if !token.is_empty() {
                body["page_token"] = Value::String(token);
            }
            let page: Page = self.set(Method::POST, "runs/search", &body).await?;
            runs.extend(page.runs.into_iter().map(Run::from));
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(runs);
            }
        }
    }

    /// Logs metrics, parameters and tags, in as many requests as MLflow's limits need. Safe to repeat: a parameter that already has
    /// its value, and a metric that is already logged (same key, value, time and step), change nothing.
    ///
    /// # Errors
    /// When a single value exceeds the limits, when a parameter already has another value, or when MLflow fails. The requests
    /// before the failing one keep their effect.
    pub async fn log_batch(&self, run_id: &str, metrics: &[Metric], params: &[Param], tags: &[Tag]) -> Result<()> {
        for batch in &batch::cut(metrics, params, tags)? {
            self.set::<Value>(Method::POST, "runs/log-batch", &LogBatch { run_id, batch }).await?;
        }
        Ok(())
    }

    /// Every logged value of one metric of a run, by time.
    ///
    /// # Errors
    /// When there is no such run, or MLflow fails.
    pub async fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        let mut metrics = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = vec![("run_id", run_id), ("metric_key", key), ("max_results", "10000")];
            if !token.is_empty() {
                query.push(("page_token", &token));
            }
            let page: History = self.get("metrics/get-history", &query).await?;
            metrics.extend(page.metrics);
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(metrics);
            }
        }
    }

    /// At most `most` of the logged values of one metric of a run, by step: MLflow chooses them evenly among all of them, and the first and
    /// the last are among them. `most` is at most 2,500.
    ///
    /// # Errors
    /// When there is no such run, or MLflow fails.
    pub async fn metric_points(&self, run_id: &str, key: &str, most: u16) -> Result<Vec<Metric>> {
        let most = most.to_string();
        let query = [("run_ids", run_id), ("metric_key", key), ("max_results", &most)];
        Ok(self.get::<Points>("metrics/get-history-bulk-interval", &query).await?.metrics)
    }

    /// Sets one tag of a run.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn set_tag(&self, run_id: &str, key: &str, value: &str) -> Result<()> {
        self.set::<Value>(Method::POST, "runs/set-tag", &json!({ "run_id": run_id, "key": key, "value": value }))
            .await?;
        Ok(())
    }

    /// Deletes one tag of a run.
    ///
    /// # Errors
    /// When the run does not have it, or MLflow refuses or fails.
    pub async fn delete_tag(&self, run_id: &str, key: &str) -> Result<()> {
        self.set::<Value>(Method::POST, "runs/delete-tag", &json!({ "run_id": run_id, "key": key })).await?;
        Ok(())
    }

    /// Makes a run that has ended a running one again. MLflow keeps its last end until the next.
    ///
    /// # Errors
    /// When MLflow refuses, such as for a run that was deleted, or fails.
    pub async fn reopen_run(&self, run_id: &str) -> Result<()> {
        self.set::<Value>(Method::POST, "runs/update", &json!({ "run_id": run_id, "status": RunStatus::Running }))
            .await?;
        Ok(())
    }

    /// Sets a run's status, and when it ended (milliseconds since 1970).
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn update_run(&self, run_id: &str, status: RunStatus, end_time: i64) -> Result<()> {
        self.set::<Value>(
            Method::POST,
            "runs/update",
            &json!({ "run_id": run_id, "status": status, "end_time": end_time }),
        )
        .await?;
        Ok(())
    }
}
