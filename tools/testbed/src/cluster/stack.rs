//! What runs in the cluster's pods.

use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use slipway_cluster::{Cluster, Deadline, list_all};
use tokio::time::sleep;

use super::apply::apply;
use super::error::Error;
use super::manifest::Manifest;
use super::milestone::OnMilestone;
use super::status::troubles;
use super::workloads::Workload;
use crate::{Cache, manifests};

const LIMIT: Duration = Duration::from_secs(240);
/// How soon pods that are not of this life are looked at again.
const AGAIN: Duration = Duration::from_millis(150);

/// The component that every cluster has.
const FIRST: &str = "node";
/// Components, each with another one that it does not work without.
const NEEDS: [(&str, &str); 2] = [("trainer", "jobset"), ("mlflow", "minio")];

/// A part of the stack that is applied and waited for as one.
pub(crate) struct Component {
    name: &'static str,
    definitions: Manifest,
    objects: Manifest,
}

/// The components of these names with what they need, in the order of applying; `None` is all of them.
pub(crate) fn select(cache: &Cache, names: Option<&[String]>) -> Result<Vec<Component>, Error> {
    let all: Vec<_> = manifests::COMPONENTS.iter().map(|component| component.name).collect();
    let mut selected: Vec<&str> = names.map_or_else(|| all.clone(), |names| names.iter().map(String::as_str).collect());
    selected.push(FIRST);
    for n in 0.. {
        let Some(name) = selected.get(n) else { break };
        if !all.contains(name) {
            return Err(Error::UnknownComponent { name: (*name).to_owned(), all: all.join(", ") });
        }
        let needs: Vec<_> = NEEDS.iter().filter(|(component, _)| component == name).map(|(_, need)| *need).collect();
        selected.extend(needs);
    }
    let read = |name, suffix| {
        let file = cache.manifests().join(format!("{name}{suffix}"));
        if file.exists() { Manifest::read(&file) } else { Ok(Manifest::default()) }
    };
    all.into_iter()
        .filter(|name| selected.contains(name))
        .map(|name| Ok(Component { name, definitions: read(name, ".crds.yaml")?, objects: read(name, ".yaml")? }))
        .collect()
}

/// Applies the components and waits for their workloads; pods that started before `since` are of an earlier life of the cluster.
/// Every definition comes before any component's other objects, because controllers watch each other's kinds.
pub(crate) async fn bring_up(
    cluster: &Cluster,
    components: &[Component],
    since: SystemTime,
    on_milestone: OnMilestone<'_>,
) -> Result<(), Error> {
    for component in components {
        apply(cluster, &component.definitions, "default").await?;
    }
    let all = components.iter().map(|component| async move {
        apply(cluster, &component.objects, "default").await?;
        wait_for_workloads(cluster, component, since).await?;
        if component.name != FIRST {
            on_milestone(&format!("{} ready", component.name));
        }
        Ok::<_, Error>(())
    });
    futures::future::try_join_all(all).await.map(|_| ())
}

async fn wait_for_workloads(cluster: &Cluster, component: &Component, since: SystemTime) -> Result<(), Error> {
    let (end, deadline) = (Instant::now() + LIMIT, Deadline::after(LIMIT));
    let (objects, pods) = (component.objects.objects(), Api::<Pod>::all(cluster.client().clone()));
    loop {
        let rollout = cluster.wait_for_rollout(objects, "default", deadline, &|_| {}).await;
        let workloads = Workload::among(objects);
        let pods = if workloads.is_empty() { Vec::new() } else { list_all(&pods, &ListParams::default()).await? };
        let late = match rollout {
            Ok(()) if workloads.iter().all(|workload| workload.is_current(&pods, since)) => return Ok(()),
            Ok(()) => vec![format!("new pods of {}", component.name)],
            Err(slipway_cluster::Error::Timeout { waiting, .. }) => waiting,
            Err(error) => return Err(error.into()),
        };
        if Instant::now() > end {
            let mut evidence = String::new();
            for pod in workloads.iter().flat_map(|workload| workload.pods(&pods)).filter(|pod| !is_ready(pod)) {
                evidence += &troubles(cluster.client(), pod).await;
            }
            return Err(Error::Late { what: late.join(", "), limit: LIMIT, evidence });
        }
        sleep(AGAIN).await;
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
