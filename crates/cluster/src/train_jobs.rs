//! TrainJobs as they are.

use serde::Serialize;
use serde_json::Value;

use crate::connection::Cluster;
use crate::error::Result;
use crate::fields::{condition, is_true, items, name, number, text};

/// A TrainJob's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its name.
    pub name: String,
    /// `Suspended`, `Running`, `Complete` or `Failed`.
    pub phase: String,
    /// 0 to 100, as its workers report it.
    pub progress: Option<i64>,
    /// As its workers estimate it.
    pub remaining_seconds: Option<i64>,
    /// Its newest metrics.
    pub metrics: Vec<(String, String)>,
    /// Why it is so.
    pub message: String,
}

/// The TrainJobs of all namespaces, by name.
///
/// # Errors
/// When the API server does not answer. A cluster without Trainer has none.
pub async fn train_jobs(cluster: &Cluster) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> =
        cluster.list("/apis/trainer.kubeflow.org/v1alpha1/trainjobs").await?.iter().map(job).collect();
    jobs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(jobs)
}

fn job(object: &Value) -> Job {
    let phase = ["Failed", "Complete", "Suspended"].into_iter().find(|kind| is_true(object, kind));
    let message = phase.and_then(|phase| condition(object, phase)).map(|one| text(one, "/message")).unwrap_or_default();
    let metrics = items(object, "/status/trainerStatus/metrics");
    Job {
        name: name(object).to_owned(),
        phase: phase.unwrap_or("Running").to_owned(),
        progress: number(object, "/status/trainerStatus/progressPercentage"),
        remaining_seconds: number(object, "/status/trainerStatus/estimatedRemainingSeconds"),
        metrics: metrics.iter().map(|one| (text(one, "/name").to_owned(), text(one, "/value").to_owned())).collect(),
        message: message.to_owned(),
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
        let running = job(&object);
        assert_eq!(
            (running.phase.as_str(), running.progress, running.remaining_seconds),
            ("Running", Some(50), Some(9))
        );
        assert_eq!(running.metrics, [("loss".to_owned(), "0.25".to_owned())]);
        object["status"]["conditions"] = json!([
            {"type": "Suspended", "status": "False"},
            {"type": "Failed", "status": "True", "message": "the gate did not pass"}
        ]);
        assert_eq!((job(&object).phase.as_str(), job(&object).message.as_str()), ("Failed", "the gate did not pass"));
    }
}
