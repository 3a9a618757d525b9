//! Bindings name roles and service accounts that are there.

use super::index::{Found, Index};
use super::{Findings, closest};
use crate::environment::Environment;
use crate::path::Path;

pub(super) fn check(environment: &Environment, index: &Index<'_>, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        if !matches!(object.id.kind.as_str(), "RoleBinding" | "ClusterRoleBinding") {
            continue;
        }
        let (kind, name) = (object.node.text_at("roleRef.kind"), object.node.text_at("roleRef.name"));
        if let (Some(kind), Some(name)) = (kind, name) {
            let namespace = if kind == "ClusterRole" { "" } else { object.id.namespace.as_str() };
            // every cluster has some cluster roles, and upstream components bring more
            let judged = kind == "Role" || !(is_built_in(name) || index.has_upstream());
            if judged && matches!(index.find(kind, namespace, name), Found::Nothing) {
                let message = format!("{} grants {kind} {name}, which is not there", object.id);
                findings.add(
                    object,
                    &Path::of("roleRef.name"),
                    "unknown-role",
                    message,
                    closest(name, index.names(kind, namespace)),
                );
            }
        }
        for (number, subject) in object.node.items_at("subjects").iter().enumerate() {
            let Some(name) = subject.text_at("name").filter(|name| *name != "default") else { continue };
            let namespace = subject.text_at("namespace").unwrap_or(&object.id.namespace);
            if subject.text_at("kind") == Some("ServiceAccount")
                && matches!(index.find("ServiceAccount", namespace, name), Found::Nothing)
            {
                let message = format!("{} grants to ServiceAccount {namespace}/{name}, which is not there", object.id);
                let help = closest(name, index.names("ServiceAccount", namespace));
                let at = Path::of("subjects").item(number).key("name");
                findings.add(object, &at, "unknown-service-account", message, help);
            }
        }
    }
}

fn is_built_in(role: &str) -> bool {
    matches!(role, "cluster-admin" | "admin" | "edit" | "view") || role.starts_with("system:")
}
