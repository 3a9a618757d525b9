//! Selectors match pods: those of a workload its own; those of a Service, a policy or a disruption budget any.

use std::collections::BTreeMap;

use super::Findings;
use crate::environment::Environment;
use crate::object::Object;
use crate::path::Path;
use crate::pods::pods;

pub(super) fn check(environment: &Environment, findings: &mut Findings<'_>) {
    let templates: Vec<(&str, BTreeMap<&str, &str>)> = environment
        .objects()
        .flat_map(|(_, object)| {
            pods(object).into_iter().map(|pod| (object.id.namespace.as_str(), pod.template.texts_at("metadata.labels")))
        })
        .collect();
    let opaque: Vec<&str> = environment
        .applications
        .iter()
        .filter(|deployed| deployed.upstream)
        .map(|deployed| deployed.application.namespace.as_str())
        .collect();
    for (_, object) in environment.objects() {
        match object.id.kind.as_str() {
            "Deployment" | "StatefulSet" | "DaemonSet" => own(object, findings),
            // some pods are not known
            _ if environment.incomplete => {}
            "Service" => selects(object, "spec.selector", &templates, &opaque, findings),
            "PodDisruptionBudget" => selects(object, "spec.selector.matchLabels", &templates, &opaque, findings),
            "NetworkPolicy" => selects(object, "spec.podSelector.matchLabels", &templates, &opaque, findings),
            _ => {}
        }
    }
}

fn own(object: &Object, findings: &mut Findings<'_>) {
    let selector = object.node.texts_at("spec.selector.matchLabels");
    let labels = object.node.texts_at("spec.template.metadata.labels");
    if !matches(&selector, &labels) {
        let message = format!("{} selects {}, but its pods have {}", object.id, shown(&selector), shown(&labels));
        let help = "give the pod template the labels of the selector, otherwise the API server refuses the object";
        findings.add(object, &Path::of("spec.selector.matchLabels"), "selector-mismatch", message, help);
    }
}

fn selects(
    object: &Object,
    at: &str,
    templates: &[(&str, BTreeMap<&str, &str>)],
    opaque: &[&str],
    findings: &mut Findings<'_>,
) {
    let selector = object.node.texts_at(at);
    let namespace = object.id.namespace.as_str();
    // Trainer labels the pods of a TrainJob, an upstream source brings pods of its own, and an empty selector of a policy matches all
    let judged = !selector.is_empty()
        && !opaque.contains(&namespace)
        && !selector.keys().any(|key| key.contains("kubeflow.org/") || key.contains("jobset.sigs.k8s.io/"));
    // the pods of a ClusterTrainingRuntime are in the namespace of their TrainJob
    let may_be_here = |of: &str| of.is_empty() || of == namespace;
    if judged && !templates.iter().any(|(of, labels)| may_be_here(of) && matches(&selector, labels)) {
        let message =
            format!("{} selects {}, but no pod in its namespace has these labels", object.id, shown(&selector));
        let help = "compare it with metadata.labels of the pod template";
        findings.add(object, &Path::of(at), "selects-nothing", message, help);
    }
}

fn matches(selector: &BTreeMap<&str, &str>, labels: &BTreeMap<&str, &str>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn shown(labels: &BTreeMap<&str, &str>) -> String {
    let all: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if all.is_empty() { "no label".to_owned() } else { all.join(",") }
}
