//! TrainJobs: how far they are.

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde::Serialize;
use slipway_names::env;

use crate::connection::{Cluster, resource};
use crate::error::Result;
use crate::fields::{condition, is_true, items, number, text};

/// A TrainJob's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The TrainJob's name.
    pub name: String,
    /// `Suspended`, `Running`, `Complete` or `Failed`.
    pub phase: String,
    /// From 0 to 100, as its workers report it; `None` before they do.
    pub progress: Option<i64>,
    /// As its workers estimate it; `None` before they do.
    pub remaining_seconds: Option<i64>,
    /// Names and values of its newest metrics.
    pub metrics: Vec<(String, String)>,
    /// The message of the condition that gives the phase.
    pub message: String,
    /// The value of `SLIPWAY_TRIAL` as the object has it: what the TrainJob runs. `None` if somebody else made it.
    #[serde(skip)]
    pub trial: Option<String>,
}

/// The TrainJobs of all namespaces, by name. A cluster without Kubeflow Trainer has none.
///
/// # Errors
/// When the API server does not answer or refuses.
pub async fn train_jobs(cluster: &Cluster) -> Result<Vec<Job>> {
    let resource = resource("trainer.kubeflow.org", "v1alpha1", "TrainJob", "trainjobs");
    let mut jobs: Vec<Job> = cluster.list_custom(&resource, None).await?.iter().map(job).collect();
    jobs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(jobs)
}

fn job(object: &DynamicObject) -> Job {
    let data = &object.data;
    let phase = ["Failed", "Complete", "Suspended"].into_iter().find(|kind| is_true(data, kind));
    let message = phase.and_then(|phase| condition(data, phase)).map(|one| text(one, "/message")).unwrap_or_default();
    let metrics = items(data, "/status/trainerStatus/metrics");
    Job {
        name: object.name_any(),
        phase: phase.unwrap_or("Running").to_owned(),
        progress: number(data, "/status/trainerStatus/progressPercentage"),
        remaining_seconds: number(data, "/status/trainerStatus/estimatedRemainingSeconds"),
        metrics: metrics.iter().map(|one| (text(one, "/name").to_owned(), text(one, "/value").to_owned())).collect(),
        message: message.to_owned(),
        trial: items(data, "/spec/trainer/env")
            .iter()
            .find(|one| text(one, "/name") == env::TRIAL)
            .map(|one| text(one, "/value").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_says_how_far_it_is() {
        let mut object = json!({"metadata": {"name": "a"}, "status": {"trainerStatus": {
            "progressPercentage": 50, "estimatedRemainingSeconds": 9, "metrics": [{"name": "loss", "value": "0.25"}]
        }}});
        let job = |object: &serde_json::Value| job(&serde_json::from_value(object.clone()).unwrap());
        let running = job(&object);
        assert_eq!(
            (running.phase.as_str(), running.progress, running.remaining_seconds),
            ("Running", Some(50), Some(9))
        );
        assert_eq!(running.metrics, [("loss".to_owned(), "0.25".to_owned())]);
        assert_eq!(running.trial, None);
        object["spec"]["trainer"]["env"] =
            json!([{"name": "A", "value": "1"}, {"name": "SLIPWAY_TRIAL", "value": "{}"}]);
        assert_eq!(job(&object).trial.as_deref(), Some("{}"));
        object["status"]["conditions"] = json!([
            {"type": "Suspended", "status": "False"},
            {"type": "Failed", "status": "True", "message": "the gate did not pass"}
        ]);
        assert_eq!((job(&object).phase.as_str(), job(&object).message.as_str()), ("Failed", "the gate did not pass"));
    }
}
