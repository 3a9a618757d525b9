//! The programs' accounts have no rights that they do not need.

use anyhow::{Result, ensure};
use slipway_e2e::{Stack, text};

/// The namespaces of our own components.
const OURS: [&str; 9] =
    ["dataset-monitor", "demo-ui", "gateway", "minio", "mlflow", "postgres", "server", "training", "training-manager"];
/// Traefik watches the Secrets of the namespaces that it routes to, for certificates, and does not start without that right.
const MAY_READ: (&str, &str) = ("gateway", "traefik");
/// The namespaces that it does not route to.
const NOT_ROUTED: [&str; 4] = ["kube-system", "kubeflow-system", "postgres", "training"];

#[test]
fn no_account_of_ours_reads_secrets_or_makes_pods() -> Result<()> {
    let stack = Stack::get()?;
    let mut questions = Vec::new();
    for namespace in OURS {
        for account in stack.kubectl().list(&["serviceaccounts", "-n", namespace])? {
            let name = text(&account, "/metadata/name").to_owned();
            for (verb, resource) in [
                ("get", "secrets"),
                ("list", "secrets"),
                ("create", "pods"),
                ("create", "pods/exec"),
                ("create", "deployments.apps"),
                ("create", "trainjobs.trainer.kubeflow.org"),
                ("delete", "trainjobs.trainer.kubeflow.org"),
                ("patch", "trainjobs.trainer.kubeflow.org"),
                ("update", "configmaps"),
                ("escalate", "clusterroles.rbac.authorization.k8s.io"),
                ("impersonate", "users"),
            ] {
                for target in OURS.iter().chain(&["argocd", "kube-system", "kubeflow-system"]) {
                    let reads = resource == "secrets" && (namespace, name.as_str()) == MAY_READ;
                    if reads && !NOT_ROUTED.contains(target) {
                        continue;
                    }
                    let subject = format!("system:serviceaccount:{namespace}:{name}");
                    questions.push((subject, verb, resource, *target));
                }
            }
        }
    }
    // proves that the reviews are answered, and not always with no
    let admin = "system:serviceaccount:argocd:argocd-application-controller".to_owned();
    let manager = "system:serviceaccount:training-manager:training-manager".to_owned();
    let needed = [
        (admin, "create", "pods", "training"),
        (manager.clone(), "watch", "trainjobs.trainer.kubeflow.org", "training"),
        (manager.clone(), "get", "pods/log", "training"),
        (manager, "create", "leases.coordination.k8s.io", "training-manager"),
    ];
    let denied = questions.len();
    questions.extend(needed);
    let reviews: Vec<_> =
        questions.iter().map(|(subject, verb, resource, target)| review(subject, verb, resource, target)).collect();
    let answers = stack.allowed(&reviews)?;
    let wrong: Vec<_> = questions
        .iter()
        .zip(&answers)
        .enumerate()
        .filter(|(number, (_, allowed))| **allowed != (*number >= denied))
        .map(|(_, answered)| answered)
        .collect();
    ensure!(wrong.is_empty(), "{wrong:#?}");
    println!("{denied} reviews denied");
    Ok(())
}

fn review(subject: &str, verb: &str, resource: &str, namespace: &str) -> serde_json::Value {
    serde_json::json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": subject, "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": attributes(verb, resource, namespace)}})
}

/// `pods/exec` or `deployments.apps`, as kubectl writes them.
fn attributes(verb: &str, resource: &str, namespace: &str) -> serde_json::Value {
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    serde_json::json!({"verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace})
}
