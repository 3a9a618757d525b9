//! What pods refer to exists: ConfigMaps, Secrets and their keys, ServiceAccounts, PersistentVolumeClaims.

use slipway_source::Node;

use super::index::{Found, Index, keys};
use super::{Demands, Findings};
use crate::environment::Environment;
use crate::object::Object;
use crate::path::Path;
use crate::pods::pods;
use crate::suggest::suggest;

/// A reference from a pod.
struct Reference<'a> {
    kind: &'static str,
    name: &'a str,
    key: Option<&'a str>,
    at: Path,
}

pub(super) fn check(environment: &Environment, index: &Index<'_>, demands: &Demands, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        for pod in pods(object) {
            let spec = pod.at.key("spec");
            let mut references = Vec::new();
            if let Some(node) = pod.template.get("spec") {
                of_spec(node, &spec, object, &mut references);
            }
            for container in pod.containers() {
                of_container(container.node, &container.at, &mut references);
            }
            // the pods of a runtime are in the namespace of the TrainJob
            let namespaces: Vec<&str> = if pod.for_train_jobs && object.id.namespace.is_empty() {
                let jobs = environment.objects().filter(|(_, job)| job.id.kind == "TrainJob");
                let mut all: Vec<&str> = jobs.map(|(_, job)| job.id.namespace.as_str()).collect();
                all.push(&demands.jobs_namespace);
                all.sort_unstable();
                all.dedup();
                all
            } else {
                vec![&object.id.namespace]
            };
            for namespace in namespaces {
                references.iter().for_each(|reference| resolve(reference, object, namespace, index, findings));
            }
        }
    }
}

fn of_spec<'a>(spec: &'a Node, at: &Path, object: &'a Object, references: &mut Vec<Reference<'a>>) {
    let mut add = |kind, name, key, at| references.push(Reference { kind, name, key, at });
    if let Some(name) = spec.text_at("serviceAccountName").filter(|name| *name != "default") {
        add("ServiceAccount", name, None, at.key("serviceAccountName"));
    }
    for (number, secret) in spec.items_at("imagePullSecrets").iter().enumerate() {
        if let Some(name) = secret.text_at("name") {
            add("Secret", name, None, at.key("imagePullSecrets").item(number).key("name"));
        }
    }
    // a StatefulSet creates the claims that it has templates for
    let templates = object.node.items_at("spec.volumeClaimTemplates");
    let templates: Vec<&str> = templates.iter().filter_map(|one| one.text_at("metadata.name")).collect();
    for volume in spec.items_at("volumes") {
        let Some(name) = volume.text_at("name") else { continue };
        let at = at.key("volumes").named(name);
        if let Some(claim) =
            volume.text_at("persistentVolumeClaim.claimName").filter(|claim| !templates.contains(claim))
        {
            add("PersistentVolumeClaim", claim, None, at.key("persistentVolumeClaim.claimName"));
        }
        let projected = volume.items_at("projected.sources").iter().enumerate();
        let sources = projected.map(|(number, source)| (source, at.key("projected.sources").item(number)));
        for (source, at) in std::iter::once((volume, at.clone())).chain(sources) {
            for (field, name_field, kind) in
                [("configMap", "name", "ConfigMap"), ("secret", "secretName", "Secret"), ("secret", "name", "Secret")]
            {
                let Some(node) = source.get(field).filter(|node| !node.is_true("optional")) else { continue };
                let Some(name) = node.text_at(name_field) else { continue };
                let at = at.key(field);
                if node.items_at("items").is_empty() {
                    add(kind, name, None, at.key(name_field));
                }
                for (number, item) in node.items_at("items").iter().enumerate() {
                    add(kind, name, item.text_at("key"), at.key("items").item(number).key("key"));
                }
            }
        }
    }
}

fn of_container<'a>(container: &'a Node, at: &Path, references: &mut Vec<Reference<'a>>) {
    let kinds = [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")];
    for variable in container.items_at("env") {
        let Some(name) = variable.text_at("name") else { continue };
        for (field, kind) in kinds {
            let node = variable.find("valueFrom").and_then(|from| from.get(field));
            let Some(node) = node.filter(|node| !node.is_true("optional")) else { continue };
            if let Some(to) = node.text_at("name") {
                let at = at.key("env").named(name).key("valueFrom").key(field).key("name");
                references.push(Reference { kind, name: to, key: node.text_at("key"), at });
            }
        }
    }
    for (number, from) in container.items_at("envFrom").iter().enumerate() {
        for (field, kind) in [("configMapRef", "ConfigMap"), ("secretRef", "Secret")] {
            let Some(node) = from.get(field).filter(|node| !node.is_true("optional")) else { continue };
            if let Some(name) = node.text_at("name") {
                let at = at.key("envFrom").item(number).key(field).key("name");
                references.push(Reference { kind, name, key: None, at });
            }
        }
    }
}

fn resolve(
    reference: &Reference<'_>,
    object: &Object,
    namespace: &str,
    index: &Index<'_>,
    findings: &mut Findings<'_>,
) {
    let Reference { kind, name, key, at } = reference;
    let present = match index.find(kind, namespace, name) {
        Found::Object(found) => keys(&found.node),
        Found::Keys([]) | Found::Unknown => return,
        Found::Keys(keys) => keys.to_vec(),
        Found::Nothing => {
            let (code, how) = match *kind {
                "ConfigMap" => ("unknown-config-map", ""),
                "Secret" => {
                    ("unknown-secret", "; Secrets that are not in git are declared in clusters/<env>/credentials.yaml")
                }
                "ServiceAccount" => ("unknown-service-account", ""),
                _ => ("unknown-volume-claim", ""),
            };
            let message =
                format!("{} refers to {kind} {name}, which does not exist in namespace {namespace}", object.id);
            let help = format!("{}{how}", suggest(name, index.names(kind, namespace)));
            findings.add(object, at, code, message, help);
            return;
        }
    };
    if let Some(key) = key.filter(|key| !present.contains(key)) {
        let message = format!("{kind} {name} has no key `{key}`, which {} refers to", object.id);
        findings.add(object, at, "unknown-key", message, suggest(key, present));
    }
}
