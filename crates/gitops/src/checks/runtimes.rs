//! TrainJobs refer to a runtime that exists.

use super::Findings;
use super::index::{Found, Index};
use crate::environment::Environment;
use crate::path::Path;
use crate::suggest::suggest;

pub(super) fn check(environment: &Environment, index: &Index<'_>, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        let Some(name) = object.node.text_at("spec.runtimeRef.name").filter(|_| object.id.kind == "TrainJob") else {
            continue;
        };
        let kind = object.node.text_at("spec.runtimeRef.kind").unwrap_or("ClusterTrainingRuntime");
        let namespace = if kind == "ClusterTrainingRuntime" { "" } else { object.id.namespace.as_str() };
        if matches!(index.find(kind, namespace, name), Found::Nothing) {
            let message = format!("{} refers to {kind} {name}, which does not exist", object.id);
            let help = suggest(name, index.names(kind, namespace));
            findings.add(object, &Path::of("spec.runtimeRef.name"), "unknown-runtime", message, help);
        }
    }
}
