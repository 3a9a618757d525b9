//! Whether the pods of a workload are of this life of the cluster.

use std::time::SystemTime;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DynamicObject;

/// A workload by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Workload {
    namespace: String,
    name: String,
}

impl Workload {
    /// The workloads among a manifest's objects.
    pub(super) fn among(objects: &[DynamicObject]) -> Vec<Self> {
        let is_workload = |object: &&DynamicObject| {
            let kind = object.types.as_ref().map(|types| types.kind.as_str());
            matches!(kind, Some("Deployment" | "StatefulSet" | "DaemonSet"))
        };
        let workloads = objects.iter().filter(is_workload).map(|object| Self {
            namespace: object.namespace().unwrap_or_else(|| "default".to_owned()),
            name: object.name_any(),
        });
        workloads.collect()
    }

    /// Whether all of its pods started after the node did: an API server that has just come back still shows the pods of an
    /// earlier life as they were.
    pub(super) fn is_current(&self, pods: &[Pod], since: SystemTime) -> bool {
        self.pods(pods).all(|pod| started(pod).is_some_and(|at| at >= whole_second(since)))
    }

    /// The pods that its controller made. A pod is owned by the workload or, for a Deployment, by a ReplicaSet whose name is the
    /// Deployment's with a hash; that a pod's name begins with the workload's would not prove it.
    pub(super) fn pods<'a>(&'a self, pods: &'a [Pod]) -> impl Iterator<Item = &'a Pod> {
        pods.iter().filter(|pod| {
            pod.namespace().as_deref() == Some(self.namespace.as_str())
                && pod.metadata.deletion_timestamp.is_none()
                && pod.owner_references().iter().any(|owner| match owner.kind.as_str() {
                    "ReplicaSet" => owner.name.rsplit_once('-').is_some_and(|(deployment, _)| deployment == self.name),
                    "StatefulSet" | "DaemonSet" => owner.name == self.name,
                    _ => false,
                })
        })
    }
}

/// When the last of the pod's containers started; `None` unless all of them run.
fn started(pod: &Pod) -> Option<Timestamp> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let starts =
        containers.iter().map(|container| Some(container.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0));
    starts.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Kubernetes gives times in whole seconds.
fn whole_second(time: SystemTime) -> Timestamp {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Timestamp::from_second(seconds.cast_signed()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn pod(owner: (&str, &str), started_at: &str) -> Pod {
        let owner = json!({"apiVersion": "apps/v1", "kind": owner.0, "name": owner.1, "uid": "u"});
        serde_json::from_value(json!({
            "metadata": {"name": "web-1", "namespace": "n", "ownerReferences": [owner]},
            "status": {"containerStatuses": [{"name": "c", "state": {"running": {"startedAt": started_at}}}]},
        }))
        .unwrap()
    }

    #[test]
    fn pods_of_an_earlier_life_do_not_count() {
        let web = Workload { namespace: "n".to_owned(), name: "web".to_owned() };
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_500);
        let (before, after) = ("1970-01-01T00:16:39Z", "1970-01-01T00:16:40Z");
        assert!(web.is_current(&[pod(("ReplicaSet", "web-5d4f"), after)], since));
        assert!(!web.is_current(&[pod(("ReplicaSet", "web-5d4f"), before)], since));
        assert!(!web.is_current(&[pod(("StatefulSet", "web"), before), pod(("StatefulSet", "web"), after)], since));
        // those of others say nothing about it
        assert!(web.is_current(&[pod(("ReplicaSet", "web-api-5d4f"), before), pod(("Job", "web"), before)], since));
    }
}
