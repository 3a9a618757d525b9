//! What is unhealthy in a cluster and why: from an Application to its objects, their pods, and what these printed last.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ListParams, LogParams, TypeMeta};
use serde::Serialize;
use serde_json::Value;

use crate::applications::{Component, applications, is_held};
use crate::connection::Cluster;
use crate::error::{Error, Result};
use crate::fields::{items, kind, namespace, text, title, title_of};
use crate::pods::{PodTrouble, troubles};
use crate::training::{JOBSET, WARNINGS};
use crate::trouble::trouble;

/// How many lines of a log are shown.
const LINES: i64 = 5;

/// The most pods of one workload that are shown, since the others say the same.
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
    /// Why, in the words of its status.
    pub reason: String,
    /// The last warning that a controller gave about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Its pods that are not as they should be.
    pub pods: Vec<PodTrouble>,
}

impl ResourceTrouble {
    fn new(resource: String, reason: impl Into<String>) -> Self {
        Self { resource, reason: reason.into(), warning: None, pods: Vec::new() }
    }
}

/// Every Application that is not Synced and Healthy, with its reasons; empty if all is well.
///
/// # Errors
/// When the API server does not answer or refuses.
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

async fn resources(cluster: &Cluster, application: &DynamicObject) -> Result<Vec<ResourceTrouble>> {
    let mut all = Vec::new();
    // what the last sync could not apply
    for result in items(&application.data, "/status/operationState/syncResult/resources") {
        if text(result, "/status") == "SyncFailed" {
            let reason = format!("not applied: {}", text(result, "/message"));
            all.push(ResourceTrouble::new(resource_title(result), reason));
        }
    }
    for resource in items(&application.data, "/status/resources") {
        let title = resource_title(resource);
        let (sync, health) = (text(resource, "/status"), text(resource, "/health/status"));
        let is_listed = text(resource, "/kind") == "Application" || all.iter().any(|one| one.resource == title);
        // what is held back is not expected, and the Application says so
        let is_held_back = health == "Missing" && is_held(application);
        if is_listed || is_held_back || (sync == "Synced" && health == "Healthy") {
            continue;
        }
        let object = match find(cluster, resource).await {
            Ok(Some(object)) => object,
            Ok(None) => {
                all.push(ResourceTrouble::new(title, "it is not in the cluster"));
                continue;
            }
            Err(error @ Error::Refused { code: 403, .. }) => {
                all.push(ResourceTrouble::new(title, error.to_string()));
                continue;
            }
            Err(error) => return Err(error),
        };
        let message = text(resource, "/health/message");
        let reason = match (sync, health) {
            (_, "Degraded" | "Progressing" | "Suspended" | "Unknown") if !message.is_empty() => Some(message),
            ("OutOfSync", _) => Some("it differs from git"),
            _ => None,
        };
        if let Some(found) = examine(cluster, &object).await? {
            all.push(found);
        } else if let Some(reason) = reason {
            all.push(ResourceTrouble::new(title, reason));
        }
    }
    Ok(all)
}

/// The object that an Application's status names.
async fn find(cluster: &Cluster, resource: &Value) -> Result<Option<DynamicObject>> {
    let (group, version) = (text(resource, "/group"), text(resource, "/version"));
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let types = TypeMeta { api_version, kind: text(resource, "/kind").to_owned() };
    cluster.find(&types, text(resource, "/namespace"), text(resource, "/name")).await
}

/// What is wrong with an object and its pods; `None` if nothing is.
pub(crate) async fn examine(cluster: &Cluster, object: &DynamicObject) -> Result<Option<ResourceTrouble>> {
    let reason = trouble(object);
    let mut pods = Vec::new();
    if reason.is_some() || matches!(kind(object), "Pod" | "TrainJob") {
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
    // a pod that says why needs no further explanation
    let unexplained = pods.iter().all(|pod| pod.reason == "NotReady");
    let warning = if unexplained { warning(cluster, object, &pods).await? } else { None };
    let reason = reason.unwrap_or_else(|| "its pods are not ready".to_owned());
    Ok(Some(ResourceTrouble { warning, pods, ..ResourceTrouble::new(title(object), reason) }))
}

/// The pods that an object's selector finds.
async fn pods_of(cluster: &Cluster, object: &DynamicObject) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(cluster.client().clone(), namespace(object));
    let selector = match kind(object) {
        "Pod" => {
            let pod = api.get_opt(&object.name_any()).await;
            return Ok(pod.map_err(|error| cluster.failed(&title(object), error))?.into_iter().collect());
        }
        "Job" => format!("batch.kubernetes.io/job-name={}", object.name_any()),
        "TrainJob" | "JobSet" => format!("{JOBSET}={}", object.name_any()),
        _ => {
            let labels = object.data.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
            let pairs = labels.into_iter().flatten();
            let pairs = pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
            pairs.collect::<Vec<_>>().join(",")
        }
    };
    if selector.is_empty() {
        return Ok(Vec::new());
    }
    cluster.list(&api, &ListParams::default().labels(&selector)).await
}

/// The end of a container's log; empty if it has none.
async fn log(cluster: &Cluster, namespace: &str, trouble: &PodTrouble) -> Vec<String> {
    if trouble.container.is_empty() {
        return Vec::new();
    }
    let api: Api<Pod> = Api::namespaced(cluster.client().clone(), namespace);
    let params = |previous| LogParams {
        container: Some(trouble.container.clone()),
        tail_lines: Some(LINES),
        previous,
        ..LogParams::default()
    };
    let mut text = api.logs(&trouble.pod, &params(trouble.previous)).await.unwrap_or_default();
    if text.is_empty() && trouble.previous {
        text = api.logs(&trouble.pod, &params(false)).await.unwrap_or_default();
    }
    text.lines().map(str::to_owned).collect()
}

/// The last warning about an object, or about one of its pods.
async fn warning(cluster: &Cluster, object: &DynamicObject, pods: &[PodTrouble]) -> Result<Option<String>> {
    let mut names = vec![object.name_any()];
    names.extend(pods.iter().map(|pod| pod.pod.clone()));
    let client = cluster.client().clone();
    let api: Api<Event> =
        if namespace(object).is_empty() { Api::all(client) } else { Api::namespaced(client, namespace(object)) };
    let events = cluster.list(&api, &ListParams::default().fields(WARNINGS)).await?;
    let is_about = |event: &&Event| {
        let about = event.involved_object.name.as_deref().unwrap_or_default();
        // the replica sets and claims of a workload have its name as a prefix
        names
            .iter()
            .any(|name| about.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
    };
    let time = |event: &&Event| {
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        last.or_else(|| event.event_time.as_ref().map(|time| time.0))
    };
    let last = events.iter().filter(is_about).max_by_key(time);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Ok(last.map(|event| format!("{}: {}", text(&event.reason), text(&event.message))))
}

/// A resource as an Application's status names it.
fn resource_title(resource: &Value) -> String {
    title_of(text(resource, "/kind"), text(resource, "/namespace"), text(resource, "/name"))
}
