//! TrainJobs name a runtime that is there.

use super::index::{Found, Index};
use super::{Findings, closest};
use crate::environment::Environment;
use crate::path::Path;

pub(super) fn check(environment: &Environment, index: &Index<'_>, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        let Some(name) = object.node.text_at("spec.runtimeRef.name").filter(|_| object.id.kind == "TrainJob") else {
            continue;
        };
        let kind = object.node.text_at("spec.runtimeRef.kind").unwrap_or("ClusterTrainingRuntime");
        let namespace = if kind == "ClusterTrainingRuntime" { "" } else { object.id.namespace.as_str() };
        if matches!(index.find(kind, namespace, name), Found::Nothing) {
            let message = format!("{} wants {kind} {name}, which is not in the tree", object.id);
            let help = closest(name, index.names(kind, namespace));
            findings.add(object, &Path::of("spec.runtimeRef.name"), "unknown-runtime", message, help);
        }
    }
}
