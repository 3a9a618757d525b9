//! What runs in the cluster's pods.

use std::time::{Duration, Instant, SystemTime};

use kube::Client;
use tokio::time::sleep;

use super::apply::{Manifest, apply};
use super::error::Error;
use super::ready::{Workloads, workloads_of};
use super::status::troubles;
use super::up::Progress;
use crate::{Cache, manifests};

const LIMIT: Duration = Duration::from_secs(240);
const AGAIN: Duration = Duration::from_millis(150);

/// The component that every cluster has.
const FIRST: &str = "node";
/// Components and another one that they do not work without.
const NEEDS: [(&str, &str); 2] = [("trainer", "jobset"), ("mlflow", "minio")];

/// A part of the stack that is applied and waited for as one.
pub(crate) struct Component {
    name: &'static str,
    definitions: Manifest,
    objects: Manifest,
}

/// The components of these names with what they need, in the order of applying; `None` is all of them.
pub(crate) fn select(cache: &Cache, names: Option<&[String]>) -> Result<Vec<Component>, Error> {
    let known: Vec<_> = manifests::COMPONENTS.iter().map(|component| component.name).collect();
    let mut wanted: Vec<&str> = names.map_or_else(|| known.clone(), |names| names.iter().map(String::as_str).collect());
    wanted.push(FIRST);
    for n in 0.. {
        let Some(name) = wanted.get(n) else { break };
        if !known.contains(name) {
            return Err(Error::UnknownComponent { name: (*name).to_owned(), known: known.join(", ") });
        }
        let needs: Vec<_> = NEEDS.iter().filter(|(component, _)| component == name).map(|(_, need)| *need).collect();
        wanted.extend(needs);
    }
    let read = |name, suffix| {
        let file = cache.manifests().join(format!("{name}{suffix}"));
        if file.exists() { Manifest::read(&file) } else { Ok(Manifest::default()) }
    };
    known
        .into_iter()
        .filter(|name| wanted.contains(name))
        .map(|name| Ok(Component { name, definitions: read(name, ".crds.yaml")?, objects: read(name, ".yaml")? }))
        .collect()
}

/// Applies the components and waits for their workloads; pods that started before `since` are of an earlier life of the cluster.
/// Every definition comes before any component's other objects, because controllers watch each other's kinds.
pub(crate) async fn bring_up(
    client: &Client,
    components: &[Component],
    since: SystemTime,
    progress: Progress<'_>,
) -> Result<(), Error> {
    for component in components {
        apply(client, &component.definitions, "default").await?;
    }
    let all = components.iter().map(|component| async move {
        apply(client, &component.objects, "default").await?;
        wait_for_workloads(client, component, since).await?;
        if component.name != FIRST {
            progress(&format!("{} ready", component.name));
        }
        Ok::<_, Error>(())
    });
    futures::future::try_join_all(all).await.map(|_| ())
}

async fn wait_for_workloads(client: &Client, component: &Component, since: SystemTime) -> Result<(), Error> {
    let end = Instant::now() + LIMIT;
    let mut waiting = workloads_of(component.objects.objects());
    while !waiting.is_empty() {
        let workloads = Workloads::list(client).await?;
        waiting.retain(|key| !workloads.is_ready(key, since));
        if Instant::now() > end {
            let mut evidence = String::new();
            for (_, namespace, name) in &waiting {
                for pod in workloads.pods_of(namespace, name) {
                    evidence += &troubles(client, pod).await;
                }
            }
            let names: Vec<_> =
                waiting.iter().map(|(kind, namespace, name)| format!("{kind} {namespace}/{name}")).collect();
            return Err(Error::Late { what: names.join(", "), limit: LIMIT, evidence });
        }
        sleep(AGAIN).await;
    }
    Ok(())
}
