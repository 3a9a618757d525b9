//! Bindings refer to roles and ServiceAccounts that exist.

use super::Findings;
use super::index::{Found, Index};
use crate::environment::Environment;
use crate::path::Path;
use crate::suggest::suggest;

pub(super) fn check(environment: &Environment, index: &Index<'_>, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        if !matches!(object.id.kind.as_str(), "RoleBinding" | "ClusterRoleBinding") {
            continue;
        }
        let (kind, name) = (object.node.text_at("roleRef.kind"), object.node.text_at("roleRef.name"));
        if let (Some(kind), Some(name)) = (kind, name) {
            let namespace = if kind == "ClusterRole" { "" } else { object.id.namespace.as_str() };
            // every cluster has some ClusterRoles, and upstream components bring more
            let judged = kind == "Role" || !(is_built_in(name) || index.has_upstream());
            if judged && matches!(index.find(kind, namespace, name), Found::Nothing) {
                let message = format!("{} refers to {kind} {name}, which does not exist", object.id);
                findings.add(
                    object,
                    &Path::of("roleRef.name"),
                    "unknown-role",
                    message,
                    suggest(name, index.names(kind, namespace)),
                );
            }
        }
        for (number, subject) in object.node.items_at("subjects").iter().enumerate() {
            let Some(name) = subject.text_at("name").filter(|name| *name != "default") else { continue };
            let namespace = subject.text_at("namespace").unwrap_or(&object.id.namespace);
            if subject.text_at("kind") == Some("ServiceAccount")
                && matches!(index.find("ServiceAccount", namespace, name), Found::Nothing)
            {
                let message =
                    format!("{} refers to ServiceAccount {namespace}/{name}, which does not exist", object.id);
                let help = suggest(name, index.names("ServiceAccount", namespace));
                let at = Path::of("subjects").item(number).key("name");
                findings.add(object, &at, "unknown-service-account", message, help);
            }
        }
    }
}

fn is_built_in(role: &str) -> bool {
    matches!(role, "cluster-admin" | "admin" | "edit" | "view") || role.starts_with("system:")
}
