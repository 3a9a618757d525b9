//! Who is granted something by this repository, what the training manager is granted, and which project may grant.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use slipway_gitops_tests::program::{kustomize, need};
use slipway_gitops_tests::tree::{builds, documents, environments};

const MANAGER: &str = "training-manager/training-manager";
const MONITOR: &str = "dataset-monitor/dataset-monitor";
const TRAEFIK: &str = "gateway/traefik";

/// The namespaces that Traefik routes to. Only MinIO's is not in every environment.
const ROUTED: [&str; 7] = ["argocd", "demo-ui", "gateway", "minio", "mlflow", "server", "training-manager"];

#[test]
fn only_the_proxy_the_training_manager_and_the_dataset_monitor_are_granted_anything() {
    need(&["kustomize"]).unwrap();
    for environment in environments().unwrap() {
        let found: BTreeSet<(String, String)> = objects(&environment)
            .iter()
            .filter(|one| ["RoleBinding", "ClusterRoleBinding"].iter().any(|kind| one["kind"] == *kind))
            .flat_map(|binding| {
                let place = binding["metadata"]["namespace"].as_str().unwrap_or("the cluster").to_owned();
                let subjects = binding["subjects"].as_array().unwrap().iter();
                let account = |one: &Value| {
                    assert_eq!(one["kind"], "ServiceAccount", "{binding}");
                    format!("{}/{}", one["namespace"].as_str().unwrap(), one["name"].as_str().unwrap())
                };
                subjects.map(|one| (account(one), place.clone())).collect::<Vec<_>>()
            })
            .collect();
        let mut expected: BTreeSet<(String, String)> = ROUTED
            .into_iter()
            .filter(|namespace| *namespace != "minio" || environment != "production")
            .chain(["the cluster"])
            .map(|place| (TRAEFIK.to_owned(), place.to_owned()))
            .collect();
        expected.extend(["argocd", "training", "training-manager"].map(|place| (MANAGER.to_owned(), place.to_owned())));
        expected.insert((MONITOR.to_owned(), "dataset-monitor".to_owned()));
        assert_eq!(found, expected, "{environment}");
    }
}

#[test]
fn the_dataset_monitor_is_granted_to_hold_its_lease_and_nothing_else() {
    need(&["kustomize"]).unwrap();
    for environment in environments().unwrap() {
        let objects = objects(&environment);
        let is_its = |one: &&Value| one["kind"] == "Role" && one["metadata"]["name"] == "dataset-monitor";
        let roles: Vec<&Value> = objects.iter().filter(is_its).collect();
        assert_eq!(roles.len(), 1, "{environment}: {roles:?}");
        let leases =
            |verbs: Value| json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs});
        let mut own = leases(json!(["get", "update"]));
        own["resourceNames"] = json!(["dataset-monitor"]);
        assert_eq!(roles[0]["metadata"]["namespace"], "dataset-monitor");
        assert_eq!(roles[0]["rules"], json!([own, leases(json!(["create"]))]));
    }
}

#[test]
fn the_training_manager_is_granted_to_look_at_trainings_and_to_hold_its_lease() {
    need(&["kustomize"]).unwrap();
    let look = ["get", "list", "watch"];
    for environment in environments().unwrap() {
        let objects = objects(&environment);
        let rules = |namespace: &str| {
            let is_role = |one: &&Value| one["kind"] == "Role" && one["metadata"]["namespace"] == namespace;
            let roles: Vec<&Value> = objects.iter().filter(is_role).collect();
            assert_eq!(roles.len(), 1, "{environment}: {roles:?}");
            assert_eq!(roles[0]["metadata"]["name"], "training-manager");
            roles[0]["rules"].clone()
        };
        assert_eq!(
            rules("training"),
            json!([
                {"apiGroups": ["trainer.kubeflow.org"], "resources": ["trainjobs"], "verbs": look},
                {"apiGroups": ["jobset.x-k8s.io"], "resources": ["jobsets"], "verbs": look},
                {"apiGroups": [""], "resources": ["pods", "events"], "verbs": look},
                {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
            ])
        );
        let leases =
            |verbs: Value| json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs});
        let mut own = leases(json!(["get", "update"]));
        own["resourceNames"] = json!(["training-manager"]);
        assert_eq!(rules("training-manager"), json!([own, leases(json!(["create"]))]));
        // what the cluster refused of the TrainJobs is said there alone
        assert_eq!(
            rules("argocd"),
            json!([{"apiGroups": ["argoproj.io"], "resources": ["applications"], "resourceNames": ["training-jobs"], "verbs": ["get"]}])
        );
    }
}

#[test]
fn only_the_project_of_the_platform_may_grant() {
    need(&["kustomize"]).unwrap();
    for environment in environments().unwrap() {
        let objects = objects(&environment);
        let may_grant = |project: &&Value| {
            let kinds = ["clusterResourceWhitelist", "namespaceResourceWhitelist"];
            let mut kinds = kinds.into_iter().flat_map(|list| project["spec"][list].as_array().into_iter().flatten());
            kinds.any(|kind| ["rbac.authorization.k8s.io", "*"].iter().any(|group| kind["group"] == *group))
        };
        let projects: Vec<&Value> = objects.iter().filter(|one| one["kind"] == "AppProject").collect();
        assert!(projects.len() >= 4, "{environment}: {projects:?}");
        let found: Vec<&Value> = projects.into_iter().filter(may_grant).map(|one| &one["metadata"]["name"]).collect();
        assert_eq!(found, ["platform"], "{environment}");
    }
}

/// What this repository declares for an environment, without upstream's part.
fn objects(environment: &str) -> Vec<Value> {
    let folders = builds(environment).unwrap();
    folders.iter().flat_map(|folder| documents(&kustomize(folder).unwrap()).unwrap()).collect()
}
