//! What went wrong before a job's workers could start, as a controller or the kubelet would warn of it.

use serde_json::{Value, json};

use super::super::identity::time;
use super::super::object::Content;
use super::super::resource::Resource;
use super::Job;
use crate::status::Phase;

/// The warning, if there is one: about the first pod if the job has pods, otherwise about the TrainJob.
pub(super) fn warning(job: &Job<'_>, pod: Option<&Content>) -> Option<Content> {
    let status = job.status;
    let has_started = match pod {
        Some(_) => status.workers.iter().any(|worker| worker.started.is_some()),
        // as an older version has left it
        None => status.start_time.is_some(),
    };
    let condition = status.conditions.last().filter(|_| status.phase == Phase::Failed && !has_started)?;
    let (resource, name, uid, reason) = match pod {
        Some(pod) => {
            let uid = pod.metadata.get("uid").and_then(Value::as_str).unwrap_or_default();
            (Resource::Pods, pod.key.name.as_str(), uid, "FailedPreparation")
        }
        None => (Resource::TrainJobs, job.name, job.uid.as_str(), condition.reason.as_str()),
    };
    let (id, at) = (job.uid_of(&["Event", name]), time(condition.last_transition_time));
    let about = json!({
        "apiVersion": resource.api_version(), "kind": resource.kind(), "namespace": job.namespace, "name": name, "uid": uid,
    });
    let rest = json!({
        "involvedObject": about,
        "type": "Warning",
        "reason": reason,
        "message": condition.message,
        "count": 1,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "eventTime": null,
        "source": { "component": "slipway" },
        "reportingComponent": "slipway",
        "reportingInstance": "",
    });
    let event = format!("{name}.{}", id.replace('-', "").get(..16).unwrap_or_default());
    Some(job.content(Resource::Events, &event, &id, json!({ "creationTimestamp": at }), rest))
}
