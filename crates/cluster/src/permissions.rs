//! Whether the user may do what bootstrap does.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{Api, PostParams};

use crate::connection::Cluster;
use crate::error::Result;
use crate::fit::Examined;

/// Verb, group, resource: what bootstrap does itself, and what Argo CD's own roles hold, since only who holds a right may grant it.
const NEEDED: [(&str, &str, &str); 11] = [
    ("patch", "", "namespaces"),
    ("get", "", "secrets"),
    ("create", "", "secrets"),
    ("patch", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("patch", "rbac.authorization.k8s.io", "clusterroles"),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles"),
    ("bind", "rbac.authorization.k8s.io", "clusterroles"),
    ("patch", "apps", "deployments"),
    ("watch", "apps", "deployments"),
    ("patch", "argoproj.io", "applications"),
    ("watch", "argoproj.io", "applications"),
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
    let found =
        if missing.is_empty() { "sufficient".to_owned() } else { format!("you may not {}", missing.join(", ")) };
    let how = "ask for the ClusterRole cluster-admin while the cluster is set up; afterwards only Argo CD needs it";
    Ok(Examined::new("permissions", missing.is_empty(), found, how))
}

async fn may(cluster: &Cluster, verb: &str, group: &str, resource: &str) -> Result<bool> {
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), non_resource_attributes: None },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client().clone());
    let answer = api.create(&PostParams::default(), &review).await;
    let answer = answer.map_err(|error| cluster.failed("a review of access", error))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
