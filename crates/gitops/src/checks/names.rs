//! Every namespaced object says where it goes, and that namespace is made by the tree.

use super::index::Index;
use super::{Findings, closest};
use crate::environment::Environment;
use crate::object::is_cluster_scoped;
use crate::path::Path;

/// Namespaces that every cluster has.
const BUILT_IN: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

pub(super) fn check(environment: &Environment, index: &Index<'_>, findings: &mut Findings<'_>) {
    let is_made = |namespace: &str| {
        environment.incomplete || index.namespaces.contains_key(namespace) || BUILT_IN.contains(&namespace)
    };
    for (deployed, object) in environment.objects() {
        let (id, at) = (&object.id, Path::of("metadata.namespace"));
        if is_cluster_scoped(&id.kind) {
            continue;
        }
        if id.namespace.is_empty() {
            let message =
                format!("{id} has no namespace, and Application {} has none to give", deployed.application.name());
            findings.add(
                object,
                &at,
                "no-namespace",
                message,
                "set metadata.namespace, or the Application's destination",
            );
        } else if !(is_made(&id.namespace)
            || deployed.application.creates_namespace && deployed.application.namespace == id.namespace)
        {
            let message = format!("{id} goes into a namespace that nothing makes");
            let help = closest(&id.namespace, index.namespaces.keys().copied());
            findings.add(object, &at, "unknown-namespace", message, format!("declare the Namespace; {help}"));
        }
    }
    for deployed in &environment.applications {
        let application = &deployed.application;
        let namespace = application.namespace.as_str();
        if deployed.upstream && !namespace.is_empty() && !application.creates_namespace && !is_made(namespace) {
            let message = format!("Application {} deploys into {namespace}, which nothing makes", application.name());
            let help = closest(namespace, index.namespaces.keys().copied());
            let at = Path::of("spec.destination.namespace");
            findings.add(
                &application.object,
                &at,
                "unknown-namespace",
                message,
                format!("declare the Namespace; {help}"),
            );
        }
    }
}
