//! Every object in a namespace names it, and the tree declares that namespace.

use super::Findings;
use super::index::Index;
use crate::environment::Environment;
use crate::path::Path;
use crate::scope::Scope;
use crate::suggest::suggest;

/// Namespaces that every cluster has.
const BUILT_IN: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

pub(super) fn check(environment: &Environment, index: &Index<'_>, findings: &mut Findings<'_>) {
    let is_declared = |namespace: &str| {
        environment.incomplete || index.namespaces.contains_key(namespace) || BUILT_IN.contains(&namespace)
    };
    for (deployed, object) in environment.objects() {
        let (id, at) = (&object.id, Path::of("metadata.namespace"));
        // a kind that is not known may belong to the cluster
        if environment.scopes.of(&id.group, &id.kind) != Some(Scope::Namespace) {
            continue;
        }
        if id.namespace.is_empty() {
            let message =
                format!("{id} has no namespace, and Application {} does not set one", deployed.application.name());
            findings.add(
                object,
                &at,
                "no-namespace",
                message,
                "set metadata.namespace, or the namespace of the Application's destination",
            );
        } else if !(is_declared(&id.namespace)
            || deployed.application.creates_namespace && deployed.application.namespace == id.namespace)
        {
            let message = format!("{id} is in a namespace that does not exist");
            let help = suggest(&id.namespace, index.namespaces.keys().copied());
            findings.add(object, &at, "unknown-namespace", message, format!("declare the Namespace; {help}"));
        }
    }
    for deployed in &environment.applications {
        let application = &deployed.application;
        let namespace = application.namespace.as_str();
        if deployed.upstream && !namespace.is_empty() && !application.creates_namespace && !is_declared(namespace) {
            let message =
                format!("Application {} deploys into namespace {namespace}, which does not exist", application.name());
            let help = suggest(namespace, index.namespaces.keys().copied());
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
