//! Why an object is not as it should be, by what its own status says. Pure.

use serde_json::Value;

use crate::fields::{condition, is_true, items, text};
use crate::rollout;

/// What is wrong; none when nothing is, or when nobody says.
pub(crate) fn trouble(object: &Value) -> Option<String> {
    if let Some(waiting) = rollout::waiting_for(object) {
        // its name is said beside it
        let state = waiting.rsplit_once(" (").map_or(waiting.as_str(), |(_, state)| state);
        return Some(state.trim_end_matches(')').to_owned());
    }
    match text(object, "/kind") {
        "Job" | "TrainJob" | "JobSet" => said(object, "Failed", "True"),
        "PersistentVolumeClaim" => match text(object, "/status/phase") {
            "Bound" => None,
            phase => Some(format!("{phase}: no volume is bound to it")),
        },
        "Service" if text(object, "/spec/type") == "LoadBalancer" => {
            let none = items(object, "/status/loadBalancer/ingress").is_empty();
            none.then(|| "it has no address: does the cluster have a load balancer?".to_owned())
        }
        "HTTPRoute" | "GRPCRoute" => route(object),
        "Gateway" => said(object, "Accepted", "False").or_else(|| said(object, "Programmed", "False")),
        "Deployment" | "StatefulSet" | "DaemonSet" | "Pod" => None,
        _ => ["Ready", "Available", "Established"].iter().find_map(|kind| said(object, kind, "False")),
    }
}

/// A condition that has a value, in words.
fn said(object: &Value, kind: &str, value: &str) -> Option<String> {
    let condition = condition(object, kind).filter(|condition| text(condition, "/status") == value)?;
    let (reason, message) = (text(condition, "/reason"), text(condition, "/message"));
    Some(if message.is_empty() { format!("{kind}: {reason}") } else { format!("{reason}: {message}") })
}

fn route(object: &Value) -> Option<String> {
    let parents = items(object, "/status/parents");
    if parents.is_empty() {
        return Some("no Gateway has taken it".to_owned());
    }
    parents.iter().find_map(|parent| {
        // the same shape as a status
        let parent = serde_json::json!({ "status": parent });
        let bad = ["Accepted", "ResolvedRefs"].into_iter().find(|kind| !is_true(&parent, kind))?;
        said(&parent, bad, "False").or_else(|| Some(format!("not {bad} yet")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

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
        let found = trouble(&object);
        match expected {
            None => assert_eq!(found, None),
            Some(expected) => assert!(found.as_ref().is_some_and(|text| text.contains(expected)), "{found:?}"),
        }
    }
}
