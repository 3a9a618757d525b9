//! A job's TrainJob: its file, with what Kubeflow Trainer says about it.

use serde_json::{Map, Value, json};

use super::super::identity::time;
use super::super::object::Content;
use super::super::resource::Resource;
use super::Job;
use crate::status::{Condition, Phase};

pub(super) fn train_job(job: &Job<'_>) -> Content {
    let mut metadata = json!({ "generation": 1 });
    for field in ["labels", "annotations"] {
        let map = job.map(&format!("/metadata/{field}"));
        if !map.is_empty() {
            metadata[field] = map.into();
        }
    }
    let mut rest = Map::new();
    rest.insert("spec".to_owned(), spec(job));
    rest.insert("status".to_owned(), status(job));
    job.content(Resource::TrainJobs, job.name, &job.uid, metadata, Value::Object(rest))
}

/// What the file says, with Trainer's defaults. Whoever shares out a cluster suspends a job that has to wait, and so does the queue here.
fn spec(job: &Job<'_>) -> Value {
    let mut spec = job.map("/spec");
    spec.insert("suspend".to_owned(), (job.status.phase == Phase::Pending).into());
    spec.insert("managedBy".to_owned(), "trainer.kubeflow.org/trainjob-controller".into());
    Value::Object(spec)
}

fn status(job: &Job<'_>) -> Value {
    let status = job.status;
    let mut conditions = Vec::new();
    if let Some(started) = status.start_time {
        conditions.push(json!({
            "type": "Suspended",
            "status": "False",
            "reason": "Resumed",
            "message": "TrainJob is resumed",
            "lastTransitionTime": time(started),
        }));
    }
    conditions.extend(status.conditions.iter().map(condition));
    let mut shown = json!({ "conditions": conditions, "jobsStatus": status.jobs_status });
    if let Some(progress) = &status.trainer_status {
        shown["trainerStatus"] = json!(progress);
    }
    shown
}

/// A condition as the API shows it.
pub(super) fn condition(condition: &Condition) -> Value {
    json!({
        "type": condition.kind,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": time(condition.last_transition_time),
    })
}
