//! A job's JobSet, which Kubeflow Trainer makes of the TrainJob.

use serde_json::{Value, json};

use super::super::object::Content;
use super::super::resource::Resource;
use super::train_job::condition;
use super::{Job, NODE, owner};
use crate::status::{Condition, Phase};

pub(super) fn job_set(job: &Job<'_>) -> Content {
    let metadata = json!({
        "generation": 1,
        "labels": job.map("/metadata/labels"),
        "ownerReferences": owner(&Resource::TrainJobs.api_version(), Resource::TrainJobs.kind(), job.name, &job.uid),
    });
    let workers = job.field("/spec/trainer/numNodes").cloned().unwrap_or(1.into());
    let spec = json!({
        "suspend": job.status.phase == Phase::Pending,
        "replicatedJobs": [{
            "name": NODE,
            "replicas": 1,
            "template": { "spec": { "completionMode": "Indexed", "completions": workers, "parallelism": workers, "backoffLimit": 0 } },
        }],
    });
    let rest = json!({ "spec": spec, "status": status(job) });
    job.content(Resource::JobSets, job.name, &job.job_set_uid(), metadata, rest)
}

fn status(job: &Job<'_>) -> Value {
    let status = job.status;
    let conditions: Vec<Value> = status.conditions.iter().map(job_set_condition).collect();
    let mut shown = json!({
        "conditions": conditions,
        "replicatedJobsStatus": status.jobs_status,
        "restarts": status.restarts,
        // that the loop itself had ended is no failure of the job
        "restartsCountTowardsMax": status.failures,
    });
    match status.phase {
        Phase::Complete => shown["terminalState"] = "Completed".into(),
        Phase::Failed => shown["terminalState"] = "Failed".into(),
        Phase::Pending | Phase::Running | Phase::Cancelled => {}
    }
    shown
}

fn job_set_condition(of_train_job: &Condition) -> Value {
    let mut shown = condition(of_train_job);
    if of_train_job.kind == "Complete" {
        shown["type"] = "Completed".into();
    }
    shown
}
