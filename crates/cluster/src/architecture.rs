//! Whether pods are kept on nodes that their images run on. Pure.

use serde_json::Value;

use crate::fields::items;

const LABEL: &str = "kubernetes.io/arch";

/// Whether every pod template in an object requires one of these architectures, by `nodeSelector` or by a required node affinity. An
/// object without pods does.
pub fn pins_architecture(object: &Value, architectures: &[String]) -> bool {
    match object {
        Value::Object(fields) => {
            let is_pod = fields.get("containers").is_some_and(Value::is_array);
            (!is_pod || is_pinned(object, architectures))
                && fields.values().all(|field| pins_architecture(field, architectures))
        }
        Value::Array(items) => items.iter().all(|item| pins_architecture(item, architectures)),
        _ => true,
    }
}

fn is_pinned(pod: &Value, architectures: &[String]) -> bool {
    let is_supported = |value: &Value| value.as_str().is_some_and(|one| architectures.iter().any(|each| each == one));
    if pod.pointer("/nodeSelector").and_then(|selector| selector.get(LABEL)).is_some_and(is_supported) {
        return true;
    }
    let terms = items(pod, "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms");
    // a node must match one of the terms, and all expressions of that one
    let pins = |term: &Value| {
        items(term, "/matchExpressions").iter().any(|expression| {
            let values = items(expression, "/values");
            expression["key"] == LABEL && expression["operator"] == "In" && values.iter().all(is_supported)
        })
    };
    !terms.is_empty() && terms.iter().all(pins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn affinity(values: &[&str]) -> Value {
        let term = json!({"matchExpressions": [{"key": LABEL, "operator": "In", "values": values}]});
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}})
    }

    #[rstest]
    #[case(json!({"kind": "ConfigMap"}), true)]
    #[case(json!({"spec": {"template": {"spec": {"containers": []}}}}), false)]
    #[case(json!({"spec": {"template": {"spec": {"containers": [], "nodeSelector": {LABEL: "amd64"}}}}}), true)]
    #[case(json!({"spec": {"template": {"spec": {"containers": [], "nodeSelector": {LABEL: "riscv64"}}}}}), false)]
    #[case(json!({"spec": {"containers": [], "affinity": affinity(&["amd64", "arm64"])}}), true)]
    #[case(json!({"spec": {"containers": [], "affinity": affinity(&["amd64", "riscv64"])}}), false)]
    #[case(json!({"jobs": [{"spec": {"containers": [], "nodeSelector": {LABEL: "arm64"}}}, {"spec": {"containers": []}}]}), false)]
    fn every_pod_must_name_an_architecture(#[case] object: Value, #[case] expected: bool) {
        assert_eq!(pins_architecture(&object, &["amd64".to_owned(), "arm64".to_owned()]), expected);
    }
}
