//! Whether what was applied works: definitions are established, workloads are available.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::ResourceExt as _;
use kube::api::DynamicObject;

use crate::connection::Cluster;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::fields::{condition, is_true, kind, namespace, number, text, title};

/// The kinds that are waited for.
const AWAITED: [&str; 4] = ["CustomResourceDefinition", "Deployment", "StatefulSet", "DaemonSet"];

/// What an object still needs, as `Deployment mlflow/mlflow (0 of 1 available)`; `None` if nothing, or if its kind is not one that
/// is waited for. The same rule as `kubectl rollout status`.
pub fn pending(object: &DynamicObject) -> Option<String> {
    Some(format!("{} ({})", title(object), unfinished(object)?))
}

/// The same without the object's title.
pub(crate) fn unfinished(object: &DynamicObject) -> Option<String> {
    match kind(object) {
        "CustomResourceDefinition" if !is_true(&object.data, "Established") => Some("not established".to_owned()),
        "Deployment" | "StatefulSet" | "DaemonSet" => workload(object),
        _ => None,
    }
}

fn workload(object: &DynamicObject) -> Option<String> {
    let data = &object.data;
    let status = |field: &str| number(data, &format!("/status/{field}")).unwrap_or(0);
    if status("observedGeneration") < object.metadata.generation.unwrap_or(0) {
        return Some("not seen by its controller yet".to_owned());
    }
    let (desired, updated, available, old) = if kind(object) == "DaemonSet" {
        (status("desiredNumberScheduled"), status("updatedNumberScheduled"), status("numberAvailable"), 0)
    } else {
        let desired = number(data, "/spec/replicas").unwrap_or(1);
        let updated = status("updatedReplicas");
        (desired, updated, status("availableReplicas"), status("replicas") - updated)
    };
    if updated >= desired && available >= desired && old <= 0 {
        return None;
    }
    let refused = condition(data, "ReplicaFailure").filter(|condition| text(condition, "/status") == "True");
    Some(match refused {
        Some(refused) => text(refused, "/message").to_owned(),
        None if available >= desired && old > 0 => format!("{old} old still to end"),
        None => format!("{available} of {desired} available"),
    })
}

impl Cluster {
    /// Watches objects until none is [`pending`]. Objects that need a namespace and name none are looked for in `default_namespace`.
    /// `on_pending` hears what is still waited for, at each change.
    ///
    /// # Errors
    /// When time is up, with what was waited for; or when the API server refuses.
    pub async fn wait_for_rollout<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a DynamicObject>,
        default_namespace: &str,
        deadline: Deadline,
        on_pending: &(dyn Fn(&[String]) + Sync),
    ) -> Result<()> {
        let (mut watches, mut states) = (Vec::new(), Vec::new());
        for object in objects.into_iter().filter(|object| AWAITED.contains(&kind(object))) {
            let in_namespace = if namespace(object).is_empty() { default_namespace } else { namespace(object) };
            let api = deadline.retry(async || self.api_of(object.types.as_ref(), in_namespace).await).await?;
            let (index, title) = (states.len(), title(object));
            states.push(Some(title.clone()));
            let types = object.types.clone();
            let events = self.watch_object(api, &object.name_any(), title.clone()).map_ok(move |found| match found {
                Some(found) => (index, pending(&DynamicObject { types: types.clone(), ..found })),
                None => (index, Some(format!("{title} (does not exist)"))),
            });
            watches.push(events.boxed());
        }
        if states.is_empty() {
            return Ok(());
        }
        let pending = |(index, state): (usize, Option<String>)| {
            states[index] = state;
            let waiting: Vec<String> = states.iter().flatten().cloned().collect();
            if !waiting.is_empty() {
                on_pending(&waiting);
            }
            waiting
        };
        deadline.follow(stream::select_all(watches), pending).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn deployment(generation: i64, observed: i64, updated: i64, available: i64) -> Value {
        json!({
            "kind": "Deployment", "metadata": {"name": "a", "namespace": "n", "generation": generation},
            "spec": {"replicas": 2},
            "status": {"observedGeneration": observed, "updatedReplicas": updated, "availableReplicas": available}
        })
    }

    fn object(mut value: Value) -> DynamicObject {
        value["apiVersion"] = json!("v1");
        serde_json::from_value(value).unwrap()
    }

    #[rstest]
    #[case(deployment(1, 1, 2, 2), None)]
    #[case(deployment(2, 1, 2, 2), Some("not seen by its controller yet"))]
    #[case(deployment(1, 1, 2, 1), Some("1 of 2 available"))]
    #[case(deployment(1, 1, 1, 2), Some("2 of 2 available"))]
    #[case(json!({"kind": "Deployment", "metadata": {"name": "a", "generation": 1}}), Some("not seen by its controller yet"))]
    #[case(json!({"kind": "Deployment", "metadata": {"name": "a"}, "status": {"replicas": 2, "updatedReplicas": 1, "availableReplicas": 2}}), Some("1 old still to end"))]
    #[case(json!({"kind": "StatefulSet", "metadata": {"name": "a"}, "status": {"updatedReplicas": 1, "availableReplicas": 1}}), None)]
    #[case(json!({"kind": "DaemonSet", "metadata": {"name": "a"}, "status": {"desiredNumberScheduled": 1}}), Some("0 of 1 available"))]
    #[case(json!({"kind": "CustomResourceDefinition", "metadata": {"name": "a"}}), Some("not established"))]
    #[case(json!({"kind": "ConfigMap", "metadata": {"name": "a"}}), None)]
    fn a_workload_is_waited_for_until_it_is_available(#[case] value: Value, #[case] expected: Option<&str>) {
        let waiting = pending(&object(value));
        match expected {
            None => assert_eq!(waiting, None),
            Some(expected) => assert!(waiting.as_ref().is_some_and(|text| text.contains(expected)), "{waiting:?}"),
        }
    }

    #[test]
    fn a_refused_pod_says_why() {
        let mut value = deployment(1, 1, 0, 0);
        value["status"]["conditions"] =
            json!([{"type": "ReplicaFailure", "status": "True", "message": "violates PodSecurity"}]);
        assert!(pending(&object(value)).unwrap().contains("violates PodSecurity"));
    }
}
