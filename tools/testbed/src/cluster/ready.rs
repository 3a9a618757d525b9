//! When a workload is ready.

use std::time::SystemTime;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, ResourceExt as _};

/// The workloads of the cluster at one moment.
pub(crate) struct Workloads {
    deployments: Vec<Deployment>,
    stateful: Vec<StatefulSet>,
    daemons: Vec<DaemonSet>,
    pods: Vec<Pod>,
}

/// A workload by kind, namespace and name.
pub(crate) type Key = (String, String, String);

/// The workloads among a manifest's objects.
pub(crate) fn workloads_of(objects: &[DynamicObject]) -> Vec<Key> {
    objects
        .iter()
        .filter_map(|object| {
            let kind = object.types.as_ref()?.kind.clone();
            matches!(kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet")
                .then(|| (kind, object.namespace().unwrap_or_else(|| "default".to_owned()), object.name_any()))
        })
        .collect()
}

impl Workloads {
    pub(crate) async fn list(client: &Client) -> Result<Self, kube::Error> {
        let all = ListParams::default();
        let (deployments, stateful, daemons, pods) = (
            Api::<Deployment>::all(client.clone()),
            Api::<StatefulSet>::all(client.clone()),
            Api::<DaemonSet>::all(client.clone()),
            Api::<Pod>::all(client.clone()),
        );
        let (deployments, stateful, daemons, pods) =
            futures::try_join!(deployments.list(&all), stateful.list(&all), daemons.list(&all), pods.list(&all))?;
        Ok(Self { deployments: deployments.items, stateful: stateful.items, daemons: daemons.items, pods: pods.items })
    }

    /// Whether the workload is what its specification says, with pods that started after the node did: what the API server
    /// remembers of an earlier life of the cluster does not count.
    pub(crate) fn is_ready(&self, (kind, namespace, name): &Key, since: SystemTime) -> bool {
        let same = |object: &dyn HasName| object.is(namespace, name);
        let settled = match kind.as_str() {
            "Deployment" => self.deployments.iter().find(|d| same(*d)).is_some_and(|d| {
                let (wanted, status) =
                    (d.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1), d.status.clone().unwrap_or_default());
                status.observed_generation == d.metadata.generation
                    && status.updated_replicas.unwrap_or(0) == wanted
                    && status.replicas.unwrap_or(0) == wanted
                    && status.available_replicas.unwrap_or(0) == wanted
            }),
            "StatefulSet" => self.stateful.iter().find(|s| same(*s)).is_some_and(|s| {
                let (wanted, status) =
                    (s.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1), s.status.clone().unwrap_or_default());
                status.observed_generation == s.metadata.generation && status.available_replicas.unwrap_or(0) == wanted
            }),
            _ => self.daemons.iter().find(|d| same(*d)).is_some_and(|d| {
                let status = d.status.clone().unwrap_or_default();
                status.observed_generation == d.metadata.generation
                    && status.number_available.unwrap_or(0) == status.desired_number_scheduled
            }),
        };
        settled && self.pods_of(namespace, name).all(|pod| started(pod).is_some_and(|at| at >= whole_second(since)))
    }

    /// The pods that a workload's controller made. A pod's name begins with the workload's, and says no more about whose it is;
    /// its owner is the workload, or for a Deployment a ReplicaSet whose name is the workload's with a hash.
    pub(crate) fn pods_of<'a>(&'a self, namespace: &'a str, name: &'a str) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| {
            pod.namespace().as_deref() == Some(namespace)
                && pod.metadata.deletion_timestamp.is_none()
                && pod.owner_references().iter().any(|owner| match owner.kind.as_str() {
                    "ReplicaSet" => owner.name.rsplit_once('-').is_some_and(|(deployment, _)| deployment == name),
                    "StatefulSet" | "DaemonSet" => owner.name == name,
                    _ => false,
                })
        })
    }
}

trait HasName {
    fn is(&self, namespace: &str, name: &str) -> bool;
}

impl<K: kube::Resource> HasName for K {
    fn is(&self, namespace: &str, name: &str) -> bool {
        self.meta().namespace.as_deref() == Some(namespace) && self.meta().name.as_deref() == Some(name)
    }
}

/// When the last of the pod's containers started; `None` unless all of them run.
fn started(pod: &Pod) -> Option<Timestamp> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let starts =
        containers.iter().map(|container| Some(container.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0));
    starts.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Kubernetes tells times to the second.
fn whole_second(time: SystemTime) -> Timestamp {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Timestamp::from_second(seconds.cast_signed()).unwrap_or(Timestamp::UNIX_EPOCH)
}
