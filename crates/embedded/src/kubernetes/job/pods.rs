//! The pods of a job, one for each worker: what the kubelet of a cluster says about the process that a worker is here.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::super::identity::{suffix, time};
use super::super::object::Content;
use super::super::resource::Resource;
use super::{JOB_SET, Job, NODE, RANK, owner};
use crate::status::Phase;
use crate::supervise::GRACE;
use crate::worker_status::WorkerStatus;

/// The longest message of a container's end, as the kubelet has it.
const MESSAGE: usize = 2048;

/// The pods by rank; none before it is the job's turn. As in a cluster, those of a job that has started again are others.
pub(super) fn pods(job: &Job<'_>) -> Vec<Content> {
    (0..).zip(&job.status.workers).map(|(rank, worker)| pod(job, rank, worker)).collect()
}

fn pod(job: &Job<'_>, rank: u32, worker: &WorkerStatus) -> Content {
    let (index, restart) = (rank.to_string(), job.status.restarts.to_string());
    let uid = job.uid_of(&["Pod", &index, &restart]);
    let child = format!("{}-{NODE}-0", job.name);
    let child_uid = job.uid_of(&["Job", &restart]);
    let mut metadata = json!({
        // when its workers were to start
        "creationTimestamp": time(job.status.start_time.unwrap_or(job.created)),
        "generateName": format!("{child}-{index}-"),
        "labels": {
            "app.kubernetes.io/name": "trainer",
            "batch.kubernetes.io/controller-uid": child_uid,
            RANK: index,
            "batch.kubernetes.io/job-name": child,
            "jobset.sigs.k8s.io/job-index": "0",
            JOB_SET: job.name,
            "jobset.sigs.k8s.io/replicatedjob-name": NODE,
            "jobset.sigs.k8s.io/replicatedjob-replicas": "1",
            "jobset.sigs.k8s.io/restart-attempt": restart,
            "trainer.kubeflow.org/trainjob-ancestor-step": "trainer",
        },
        "annotations": { RANK: index },
        "ownerReferences": owner("batch/v1", "Job", &child, &child_uid),
    });
    if let Some(removed) = job.removed {
        metadata["deletionTimestamp"] = time(removed + GRACE).into();
        metadata["deletionGracePeriodSeconds"] = GRACE.as_secs().into();
    }
    let trainer = |field: &str| job.field(&format!("/spec/trainer/{field}")).cloned();
    let mut container = json!({ "name": NODE, "image": trainer("image").unwrap_or_default() });
    for (field, value) in
        [("command", trainer("command")), ("args", trainer("args")), ("resources", trainer("resourcesPerNode"))]
    {
        if let Some(value) = value {
            container[field] = value;
        }
    }
    let spec = json!({ "containers": [container], "nodeName": "localhost", "restartPolicy": "Never" });
    let status = status(job, worker, &container["image"]);
    let name = format!("{child}-{index}-{}", suffix(&uid));
    job.content(Resource::Pods, &name, &uid, metadata, json!({ "spec": spec, "status": status }))
}

fn status(job: &Job<'_>, worker: &WorkerStatus, image: &Value) -> Value {
    let scheduled = job.status.start_time.unwrap_or(job.created);
    let is_ready = worker.started.is_some() && worker.ended.is_none() && job.status.phase == Phase::Running;
    let phase = phase(job, worker);
    let condition = |kind: &str, holds: bool, since: OffsetDateTime| {
        let status = if holds { "True" } else { "False" };
        json!({ "type": kind, "status": status, "lastTransitionTime": time(since) })
    };
    let changed = worker.ended.as_ref().map(|end| end.at).or(worker.started).unwrap_or(scheduled);
    let mut shown = json!({
        "phase": phase,
        "startTime": time(scheduled),
        "hostIP": "127.0.0.1",
        "podIP": "127.0.0.1",
        "conditions": [
            condition("PodScheduled", true, scheduled),
            condition("ContainersReady", is_ready, changed),
            condition("Ready", is_ready, changed),
        ],
        "containerStatuses": [{
            "name": NODE,
            "image": image,
            "imageID": "",
            "ready": is_ready,
            "started": is_ready,
            "restartCount": worker.restarts,
            "state": state(job, worker),
            "lastState": {},
        }],
    });
    if phase == "Failed" && worker.started.is_none() {
        shown["reason"] = "FailedPreparation".into();
        shown["message"] = job.status.message().into();
    }
    shown
}

fn phase(job: &Job<'_>, worker: &WorkerStatus) -> &'static str {
    match (&worker.ended, worker.started) {
        (Some(end), _) if end.exit_code == 0 => "Succeeded",
        (Some(_), _) => "Failed",
        // the loop has ended before the worker could say how it did
        (None, _) if job.status.phase == Phase::Failed => "Failed",
        (None, Some(_)) => "Running",
        (None, None) => "Pending",
    }
}

fn state(job: &Job<'_>, worker: &WorkerStatus) -> Value {
    match (&worker.ended, worker.started) {
        (Some(end), started) => {
            let mut ended = json!({
                "exitCode": end.exit_code,
                "reason": if end.exit_code == 0 { "Completed" } else { "Error" },
                "startedAt": time(started.unwrap_or(end.at)),
                "finishedAt": time(end.at),
            });
            if !end.message.is_empty() {
                ended["message"] = end_of(&end.message, MESSAGE).into();
            }
            json!({ "terminated": ended })
        }
        (None, Some(started)) => json!({ "running": { "startedAt": time(started) } }),
        (None, None) if job.status.phase == Phase::Failed => {
            json!({ "waiting": { "reason": "CreateContainerError", "message": job.status.message() } })
        }
        (None, None) => json!({ "waiting": { "reason": "ContainerCreating" } }),
    }
}

/// The last bytes of a text, from the beginning of a character.
fn end_of(text: &str, most: usize) -> &str {
    let from = text.len().saturating_sub(most);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[from..]
}
