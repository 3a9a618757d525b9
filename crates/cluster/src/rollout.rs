//! Whether what was applied is there: definitions established, workloads available. Pure.

use serde_json::Value;

use crate::fields::{condition, is_true, number, text, title};

/// What an object still needs; none when nothing, or when its kind has no such state.
pub(crate) fn waiting_for(object: &Value) -> Option<String> {
    let state = match text(object, "/kind") {
        "CustomResourceDefinition" if !is_true(object, "Established") => "not established".to_owned(),
        "Deployment" | "StatefulSet" | "DaemonSet" => workload(object)?,
        _ => return None,
    };
    Some(format!("{} ({state})", title(object)))
}

fn workload(object: &Value) -> Option<String> {
    let seen = number(object, "/status/observedGeneration").unwrap_or(0);
    if seen < number(object, "/metadata/generation").unwrap_or(0) {
        return Some("not seen by its controller yet".to_owned());
    }
    let status = |field: &str| number(object, &format!("/status/{field}")).unwrap_or(0);
    let (wanted, updated, available) = if text(object, "/kind") == "DaemonSet" {
        (status("desiredNumberScheduled"), status("updatedNumberScheduled"), status("numberAvailable"))
    } else {
        let wanted = number(object, "/spec/replicas").unwrap_or(1);
        (wanted, status("updatedReplicas"), status("availableReplicas"))
    };
    if updated >= wanted && available >= wanted {
        return None;
    }
    let refused = condition(object, "ReplicaFailure").filter(|condition| text(condition, "/status") == "True");
    Some(match refused {
        Some(refused) => text(refused, "/message").to_owned(),
        None => format!("{available} of {wanted} available"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn deployment(generation: i64, seen: i64, updated: i64, available: i64) -> Value {
        json!({
            "kind": "Deployment", "metadata": {"name": "a", "namespace": "n", "generation": generation},
            "spec": {"replicas": 2},
            "status": {"observedGeneration": seen, "updatedReplicas": updated, "availableReplicas": available}
        })
    }

    #[rstest]
    #[case(deployment(1, 1, 2, 2), None)]
    #[case(deployment(2, 1, 2, 2), Some("not seen by its controller yet"))]
    #[case(deployment(1, 1, 2, 1), Some("1 of 2 available"))]
    #[case(deployment(1, 1, 1, 2), Some("2 of 2 available"))]
    #[case(json!({"kind": "Deployment", "metadata": {"name": "a", "generation": 1}}), Some("not seen by its controller yet"))]
    #[case(json!({"kind": "StatefulSet", "metadata": {"name": "a"}, "status": {"updatedReplicas": 1, "availableReplicas": 1}}), None)]
    #[case(json!({"kind": "DaemonSet", "metadata": {"name": "a"}, "status": {"desiredNumberScheduled": 1}}), Some("0 of 1 available"))]
    #[case(json!({"kind": "CustomResourceDefinition", "metadata": {"name": "a"}}), Some("not established"))]
    #[case(json!({"kind": "ConfigMap", "metadata": {"name": "a"}}), None)]
    fn a_workload_is_waited_for_until_it_is_available(#[case] object: Value, #[case] expected: Option<&str>) {
        let waiting = waiting_for(&object);
        match expected {
            None => assert_eq!(waiting, None),
            Some(expected) => assert!(waiting.as_ref().is_some_and(|text| text.contains(expected)), "{waiting:?}"),
        }
    }

    #[test]
    fn a_refused_pod_says_why() {
        let mut object = deployment(1, 1, 0, 0);
        object["status"]["conditions"] =
            json!([{"type": "ReplicaFailure", "status": "True", "message": "violates PodSecurity"}]);
        assert!(waiting_for(&object).unwrap().contains("violates PodSecurity"));
    }
}
