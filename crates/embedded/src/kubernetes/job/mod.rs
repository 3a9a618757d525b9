//! The objects of one job, as a cluster with Kubeflow Trainer and JobSet has them.

mod events;
mod job_set;
mod pods;
mod train_job;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::identity::{time, uid};
use super::object::{Content, Key};
use super::resource::Resource;
use crate::listing::Listed;
use crate::status::JobStatus;

/// The label that leads from a job to its pods.
pub(super) const JOB_SET: &str = "jobset.sigs.k8s.io/jobset-name";
/// The label that holds a worker's rank.
pub(super) const RANK: &str = "batch.kubernetes.io/job-completion-index";
/// The container that a worker is, and the replicated Job that has it.
pub(super) const NODE: &str = "node";
/// Where a job runs whose file does not say.
const NAMESPACE: &str = "training";

/// A job, and what its objects have in common.
struct Job<'a> {
    name: &'a str,
    namespace: String,
    uid: String,
    created: OffsetDateTime,
    /// The file as JSON; empty if it cannot be read.
    file: Map<String, Value>,
    status: &'a JobStatus,
    /// When its file was removed from main.
    removed: Option<OffsetDateTime>,
}

/// All objects of a job. Those of a job whose file was removed are the pods that have not ended yet.
pub(super) fn objects(name: &str, listed: &Listed) -> Vec<Content> {
    let job = Job::new(name, listed);
    let pods = pods::pods(&job);
    if listed.removed.is_some() {
        return pods;
    }
    let event = events::warning(&job, pods.first());
    [train_job::train_job(&job), job_set::job_set(&job)].into_iter().chain(pods).chain(event).collect()
}

impl<'a> Job<'a> {
    fn new(name: &'a str, listed: &'a Listed) -> Self {
        let text = std::str::from_utf8(&listed.file).unwrap_or_default();
        let file: Map<String, Value> = serde_saphyr::from_str(text).unwrap_or_default();
        let namespace = file.get("metadata").and_then(|metadata| metadata["namespace"].as_str()).unwrap_or(NAMESPACE);
        let (namespace, status) = (namespace.to_owned(), &listed.status);
        let first = status.conditions.first().map(|condition| condition.last_transition_time);
        let created = status.created.or(status.start_time).or(first).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let uid = uid(&["TrainJob", &namespace, name, &created.unix_timestamp_nanos().to_string()]);
        Self { name, namespace, uid, created, file, status, removed: listed.removed }
    }

    /// A field of its file.
    fn field(&self, pointer: &str) -> Option<&Value> {
        let (first, rest) =
            pointer.trim_start_matches('/').split_once('/').unwrap_or((pointer.trim_start_matches('/'), ""));
        let value = self.file.get(first)?;
        if rest.is_empty() { Some(value) } else { value.pointer(&format!("/{rest}")) }
    }

    /// A map in its file; empty if it is missing.
    fn map(&self, pointer: &str) -> Map<String, Value> {
        self.field(pointer).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// The id of another object of this job.
    fn uid_of(&self, words: &[&str]) -> String {
        uid(&[&[self.uid.as_str()][..], words].concat())
    }

    /// An object of this job. `metadata` is everything but name, namespace, id and time.
    fn content(&self, resource: Resource, name: &str, uid: &str, metadata: Value, rest: Value) -> Content {
        let mut all = Map::new();
        all.insert("uid".to_owned(), uid.into());
        all.insert("creationTimestamp".to_owned(), time(self.created).into());
        let map = |value| if let Value::Object(map) = value { map } else { Map::new() };
        all.extend(map(metadata));
        Content { key: Key::new(resource, &self.namespace, name), metadata: all, rest: map(rest) }
    }

    /// The id of its JobSet.
    fn job_set_uid(&self) -> String {
        self.uid_of(&["JobSet"])
    }
}

/// Says which object another one belongs to.
fn owner(api_version: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!([{
        "apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": true,
    }])
}

#[cfg(test)]
mod tests;
