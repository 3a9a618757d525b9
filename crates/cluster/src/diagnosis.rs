//! What is not well in a cluster and why: from an Application to its objects, their pods, and what these last printed.

use serde::Serialize;
use serde_json::Value;

use crate::applications::{Component, applications};
use crate::connection::Cluster;
use crate::error::Result;
use crate::fields::{items, name, namespace, text};
use crate::pods::{PodTrouble, troubles};
use crate::trouble::trouble;

/// How much of a log is shown.
const LINES: usize = 5;

/// The most pods of one workload that are shown: the others say the same.
const PODS: usize = 3;

/// An Application that is not as it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// The Application.
    #[serde(flatten)]
    pub component: Component,
    /// Its objects that are not as they should be.
    pub resources: Vec<ResourceTrouble>,
}

/// An object that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResourceTrouble {
    /// `Deployment mlflow/mlflow`
    pub resource: String,
    /// Why, in its own words.
    pub reason: String,
    /// The last warning that a controller gave about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Its pods that are not as they should be.
    pub pods: Vec<PodTrouble>,
}

/// Everything that is not Synced and Healthy, with its reasons; empty when all is well.
///
/// # Errors
/// When the API server does not answer. What it refuses to show is left out.
pub async fn diagnose(cluster: &Cluster) -> Result<Vec<Diagnosis>> {
    let mut all = Vec::new();
    for application in applications(cluster, None).await? {
        let component = Component::of(&application);
        if !component.is_green() {
            all.push(Diagnosis { component, resources: resources(cluster, &application).await? });
        }
    }
    Ok(all)
}

async fn resources(cluster: &Cluster, application: &Value) -> Result<Vec<ResourceTrouble>> {
    let mut all = Vec::new();
    // what the last sync could not apply
    for result in items(application, "/status/operationState/syncResult/resources") {
        if text(result, "/status") == "SyncFailed" {
            all.push(ResourceTrouble {
                resource: title(result),
                reason: format!("not applied: {}", text(result, "/message")),
                warning: None,
                pods: Vec::new(),
            });
        }
    }
    for resource in items(application, "/status/resources") {
        let resource_title = title(resource);
        let (sync, health) = (text(resource, "/status"), text(resource, "/health/status"));
        let known = text(resource, "/kind") == "Application" || all.iter().any(|one| one.resource == resource_title);
        if known || (sync == "Synced" && health == "Healthy") {
            continue;
        }
        let (group, version) = (text(resource, "/group"), text(resource, "/version"));
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        let (kind, of, name) = (text(resource, "/kind"), text(resource, "/namespace"), text(resource, "/name"));
        let found = match cluster.path(&api_version, kind, of, name).await {
            Ok(path) => cluster.get(&path).await,
            Err(error) => Err(error),
        };
        let object = match found {
            Ok(Some(object)) => object,
            Err(error) if error.is_passing() => return Err(error),
            Ok(None) | Err(_) => {
                let reason = "it is not in the cluster".to_owned();
                all.push(ResourceTrouble { resource: resource_title, reason, warning: None, pods: Vec::new() });
                continue;
            }
        };
        let said = text(resource, "/health/message");
        let reason = match (sync, health) {
            (_, "Degraded" | "Progressing" | "Suspended" | "Unknown") if !said.is_empty() => Some(said),
            ("OutOfSync", _) => Some("it differs from what git says"),
            _ => None,
        };
        if let Some(found) = examine(cluster, &object).await? {
            all.push(found);
        } else if let Some(reason) = reason {
            let reason = reason.to_owned();
            all.push(ResourceTrouble { resource: resource_title, reason, warning: None, pods: Vec::new() });
        }
    }
    Ok(all)
}

/// What is wrong with an object and its pods; none when nothing is.
pub(crate) async fn examine(cluster: &Cluster, object: &Value) -> Result<Option<ResourceTrouble>> {
    let reason = trouble(object);
    let mut pods = Vec::new();
    if reason.is_some() || matches!(text(object, "/kind"), "Pod" | "TrainJob") {
        for pod in pods_of(cluster, object).await? {
            pods.extend(troubles(&pod));
        }
    }
    pods.truncate(PODS);
    if reason.is_none() && pods.is_empty() {
        return Ok(None);
    }
    for pod in &mut pods {
        pod.log = log(cluster, namespace(object), pod).await;
    }
    // a pod that says why needs no second voice
    let warning =
        if pods.iter().all(|pod| pod.reason == "NotReady") { warning(cluster, object, &pods).await? } else { None };
    Ok(Some(ResourceTrouble {
        resource: crate::fields::title(object),
        reason: reason.unwrap_or_else(|| "its pods are not well".to_owned()),
        warning,
        pods,
    }))
}

/// The pods that an object's selector finds.
async fn pods_of(cluster: &Cluster, object: &Value) -> Result<Vec<Value>> {
    let selector = match text(object, "/kind") {
        "Pod" => return Ok(vec![object.clone()]),
        "Job" => format!("batch.kubernetes.io/job-name={}", name(object)),
        "TrainJob" | "JobSet" => format!("jobset.sigs.k8s.io/jobset-name={}", name(object)),
        _ => {
            let labels = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
            let pairs = labels.into_iter().flatten();
            pairs
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                .collect::<Vec<_>>()
                .join(",")
        }
    };
    if selector.is_empty() {
        return Ok(Vec::new());
    }
    let selector = selector.replace('/', "%2F").replace('=', "%3D").replace(',', "%2C");
    cluster.list(&format!("/api/v1/namespaces/{}/pods?labelSelector={selector}", namespace(object))).await
}

/// The end of a container's log; empty when there is none.
async fn log(cluster: &Cluster, namespace: &str, trouble: &PodTrouble) -> Vec<String> {
    if trouble.container.is_empty() {
        return Vec::new();
    }
    let path = |previous: bool| {
        format!(
            "/api/v1/namespaces/{namespace}/pods/{}/log?container={}&tailLines={LINES}&previous={previous}",
            trouble.pod, trouble.container
        )
    };
    let mut text = cluster.text(&path(trouble.previous)).await.unwrap_or_default();
    if text.is_empty() && trouble.previous {
        text = cluster.text(&path(false)).await.unwrap_or_default();
    }
    text.lines().map(str::to_owned).collect()
}

/// The last warning about an object, or about one of its pods.
async fn warning(cluster: &Cluster, object: &Value, pods: &[PodTrouble]) -> Result<Option<String>> {
    let mut names = vec![name(object)];
    names.extend(pods.iter().map(|pod| pod.pod.as_str()));
    let events =
        cluster.list(&format!("/api/v1/namespaces/{}/events?fieldSelector=type%3DWarning", namespace(object))).await?;
    let about = |event: &&Value| {
        let of = text(event, "/involvedObject/name");
        // a workload's replica sets and claims have its name in front
        names.iter().any(|name| of == *name || of.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')))
    };
    let when = |event: &&Value| {
        let last = text(event, "/lastTimestamp");
        if last.is_empty() { text(event, "/eventTime").to_owned() } else { last.to_owned() }
    };
    let last = events.iter().filter(about).max_by_key(when);
    Ok(last.map(|event| format!("{}: {}", text(event, "/reason"), text(event, "/message"))))
}

/// A resource as an Application's status names it.
fn title(resource: &Value) -> String {
    let (kind, namespace, name) = (text(resource, "/kind"), text(resource, "/namespace"), text(resource, "/name"));
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}
