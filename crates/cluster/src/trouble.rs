//! Why an object is not as it should be, as its own status says. Pure.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::fields::{condition, is_true, items, kind, text};
use crate::rollout::unfinished;

/// What is wrong; `None` if nothing is, or if the status does not say.
pub(crate) fn trouble(object: &DynamicObject) -> Option<String> {
    if let Some(state) = unfinished(object) {
        return Some(state);
    }
    let data = &object.data;
    match kind(object) {
        "Job" | "TrainJob" | "JobSet" => message(data, "Failed", "True"),
        "PersistentVolumeClaim" => match text(data, "/status/phase") {
            "Bound" => None,
            phase => Some(format!("{phase}: no volume is bound to it")),
        },
        "Service" if text(data, "/spec/type") == "LoadBalancer" => {
            let no_address = items(data, "/status/loadBalancer/ingress").is_empty();
            no_address.then(|| "it has no address: does the cluster have a load balancer?".to_owned())
        }
        "HTTPRoute" | "GRPCRoute" => route(data),
        "Gateway" => message(data, "Accepted", "False").or_else(|| message(data, "Programmed", "False")),
        "Deployment" | "StatefulSet" | "DaemonSet" | "Pod" => None,
        _ => ["Ready", "Available", "Established"].iter().find_map(|kind| message(data, kind, "False")),
    }
}

/// The reason and message of a condition, if it has this value.
fn message(data: &Value, kind: &str, value: &str) -> Option<String> {
    let condition = condition(data, kind).filter(|condition| text(condition, "/status") == value)?;
    let (reason, message) = (text(condition, "/reason"), text(condition, "/message"));
    Some(if message.is_empty() { format!("{kind}: {reason}") } else { format!("{reason}: {message}") })
}

fn route(data: &Value) -> Option<String> {
    let parents = items(data, "/status/parents");
    if parents.is_empty() {
        return Some("no Gateway has accepted it".to_owned());
    }
    parents.iter().find_map(|parent| {
        // a parent has conditions as a status has
        let parent = json!({ "status": parent });
        let unmet = ["Accepted", "ResolvedRefs"].into_iter().find(|kind| !is_true(&parent, kind))?;
        message(&parent, unmet, "False").or_else(|| Some(format!("not {unmet} yet")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(json!({"kind": "TrainJob", "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "JobsFailed", "message": "gate"}]}}), Some("JobsFailed: gate"))]
    #[case(json!({"kind": "TrainJob", "status": {"conditions": [{"type": "Complete", "status": "True"}]}}), None)]
    #[case(json!({"kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}), Some("Pending"))]
    #[case(json!({"kind": "PersistentVolumeClaim", "status": {"phase": "Bound"}}), None)]
    #[case(json!({"kind": "Service", "spec": {"type": "LoadBalancer"}}), Some("no address"))]
    #[case(json!({"kind": "Service", "spec": {"type": "ClusterIP"}}), None)]
    #[case(json!({"kind": "HTTPRoute"}), Some("no Gateway"))]
    #[case(json!({"kind": "HTTPRoute", "status": {"parents": [{"conditions": [{"type": "Accepted", "status": "True"},
        {"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound", "message": "no service"}]}]}}), Some("BackendNotFound: no service"))]
    #[case(json!({"kind": "Certificate", "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Pending", "message": "issuing"}]}}), Some("issuing"))]
    #[case(json!({"kind": "Deployment", "metadata": {"name": "a"}, "status": {}}), Some("0 of 1 available"))]
    #[case(json!({"kind": "ConfigMap"}), None)]
    fn an_object_says_itself_what_is_wrong(#[case] object: Value, #[case] expected: Option<&str>) {
        let mut object = object;
        object["apiVersion"] = json!("v1");
        let found = trouble(&serde_json::from_value(object).unwrap());
        match expected {
            None => assert_eq!(found, None),
            Some(expected) => assert!(found.as_ref().is_some_and(|text| text.contains(expected)), "{found:?}"),
        }
    }
}
