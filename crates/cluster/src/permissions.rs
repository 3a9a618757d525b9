//! Whether who asks may do what bootstrap does.

use serde_json::json;

use crate::connection::Cluster;
use crate::error::Result;
use crate::fit::Examined;

/// Verb, group, resource: what bootstrap does itself, and what Argo CD's own roles hold, which only who holds it may grant.
const NEEDED: [(&str, &str, &str); 9] = [
    ("patch", "", "namespaces"),
    ("get", "", "secrets"),
    ("create", "", "secrets"),
    ("patch", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("patch", "rbac.authorization.k8s.io", "clusterroles"),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles"),
    ("bind", "rbac.authorization.k8s.io", "clusterroles"),
    ("patch", "apps", "deployments"),
    ("patch", "argoproj.io", "applications"),
];

/// Asks the cluster's authorizer.
pub(crate) async fn examine(cluster: &Cluster) -> Result<Examined> {
    let mut missing = Vec::new();
    if !may(cluster, "*", "*", "*").await? {
        for (verb, group, resource) in NEEDED {
            if !may(cluster, verb, group, resource).await? {
                let group = if group.is_empty() { String::new() } else { format!(".{group}") };
                missing.push(format!("{verb} {resource}{group}"));
            }
        }
    }
    let found = if missing.is_empty() { "enough".to_owned() } else { format!("may not {}", missing.join(", ")) };
    let how = "ask for the ClusterRole cluster-admin while the cluster is set up; afterwards only Argo CD needs it";
    Ok(Examined::new("permissions", missing.is_empty(), found, how))
}

async fn may(cluster: &Cluster, verb: &str, group: &str, resource: &str) -> Result<bool> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": { "verb": verb, "group": group, "resource": resource } },
    });
    let answer = cluster.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await?;
    Ok(answer.pointer("/status/allowed").and_then(serde_json::Value::as_bool).unwrap_or(false))
}
