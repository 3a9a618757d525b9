//! Pods meet the Pod Security level of their namespace; `restricted` if the namespace has no label.
//!
//! Source: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>

use std::collections::BTreeMap;

use slipway_source::Node;

use super::Findings;
use crate::environment::{Deployed, Environment};
use crate::object::Object;
use crate::pods::{Container, Pod, pods};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

pub(super) fn check(environment: &Environment, findings: &mut Findings<'_>) {
    check_objects(environment, environment.objects(), findings);
}

/// Checks some objects against the levels of the environment's namespaces, and of those that are among them.
pub(super) fn check_objects<'a>(
    environment: &'a Environment,
    objects: impl Iterator<Item = (&'a Deployed, &'a Object)> + Clone,
    findings: &mut Findings<'_>,
) {
    let levels: BTreeMap<&str, &str> = environment
        .objects()
        .chain(objects.clone())
        .filter(|(_, object)| object.id.kind == "Namespace")
        .filter_map(|(_, object)| {
            Some((object.id.name.as_str(), *object.node.texts_at("metadata.labels").get(ENFORCE)?))
        })
        .collect();
    for (_, object) in objects {
        if levels.get(object.id.namespace.as_str()).is_some_and(|level| *level != "restricted") {
            continue;
        }
        for pod in pods(object) {
            for container in pod.containers() {
                for (field, rule) in missing(&pod, &container) {
                    let message = format!("container {} of {}: {rule}", container.name, object.id);
                    let help = format!("Pod Security `restricted` refuses it; the label {ENFORCE} sets another level");
                    let at = container.at.key("securityContext").key(field);
                    findings.add(object, &at, "missing-security-context", message, help);
                }
            }
        }
    }
}

/// The fields of a container's security context that break a rule of `restricted`, with the rule.
fn missing(pod: &Pod<'_>, container: &Container<'_>) -> Vec<(&'static str, &'static str)> {
    let own = |keys: &str| container.node.find(&format!("securityContext.{keys}")).and_then(Node::text);
    let either = |keys: &str| {
        own(keys).or_else(|| pod.template.find(&format!("spec.securityContext.{keys}")).and_then(Node::text))
    };
    let mut missing = Vec::new();
    if own("allowPrivilegeEscalation") != Some("false") {
        missing.push(("allowPrivilegeEscalation", "allowPrivilegeEscalation must be false"));
    }
    let dropped = container.node.items_at("securityContext.capabilities.drop");
    if !dropped.iter().any(|one| one.text() == Some("ALL")) {
        missing.push(("capabilities", "capabilities.drop must contain ALL"));
    }
    let added = container.node.items_at("securityContext.capabilities.add");
    if added.iter().any(|one| one.text() != Some("NET_BIND_SERVICE")) {
        missing.push(("capabilities", "capabilities.add may contain only NET_BIND_SERVICE"));
    }
    if own("privileged") == Some("true") {
        missing.push(("privileged", "privileged must not be set"));
    }
    if either("runAsNonRoot") != Some("true") {
        missing.push(("runAsNonRoot", "runAsNonRoot must be true, here or for the pod"));
    }
    if either("runAsUser") == Some("0") {
        missing.push(("runAsUser", "runAsUser must not be 0"));
    }
    if !matches!(either("seccompProfile.type"), Some("RuntimeDefault" | "Localhost")) {
        missing.push(("seccompProfile", "seccompProfile.type must be RuntimeDefault, here or for the pod"));
    }
    missing
}
