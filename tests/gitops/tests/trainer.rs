//! Kubeflow Trainer's configuration, read by Trainer's own code at the pinned version.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::process::Command;

use serde_json::{Value, json};
use slipway_gitops_tests::program::{need, path, run};
use slipway_gitops_tests::tree::{deployed, documents, repository};
use slipway_gitops_tests::upstream::{MODULES, module_folder};

/// The name of the file in the ConfigMap, and of upstream's own.
const FILE: &str = "controller_manager_config.yaml";

#[test]
fn its_configuration_is_upstreams_with_the_gate_for_progress() {
    need(&["go", "helm", "kustomize", "trainer-config"]).unwrap();
    let application = repository().join("argocd/applications/kubeflow-trainer/application.yaml");
    let application = documents(&std::fs::read_to_string(application).unwrap()).unwrap().remove(0);
    let manager = &application["spec"]["sources"].as_array().unwrap()[4];
    assert_eq!(manager["path"], "manifests/base/manager");
    let (_, module) = MODULES.iter().find(|(url, _)| manager["repoURL"] == *url).unwrap();
    let upstream = module_folder(module, manager["targetRevision"].as_str().unwrap()).unwrap();
    let upstream = std::fs::read_to_string(upstream.join("manifests/base/manager").join(FILE)).unwrap();
    let mut expected = loaded(&upstream);
    expected["featureGates"] = json!({"TrainJobStatus": true});

    let objects = deployed("local").unwrap().into_iter().flat_map(|one| one.objects);
    let maps: Vec<Value> = objects
        .filter(|one| one["kind"] == "ConfigMap" && one["metadata"]["name"] == "kubeflow-trainer-config")
        .collect();
    assert_eq!(maps.len(), 1);
    assert_eq!(loaded(maps[0]["data"][FILE].as_str().unwrap()), expected);
    let of_testbed = repository().join("tools/testbed/manifests/trainer").join(FILE);
    assert_eq!(loaded(&std::fs::read_to_string(of_testbed).unwrap()), expected);
}

#[test]
fn what_trainer_does_not_know_is_refused() {
    need(&["trainer-config"]).unwrap();
    let header = "apiVersion: config.trainer.kubeflow.org/v1alpha1\nkind: Configuration\n";
    let printed = printed(&format!("{header}certManagement: {{ownSecretName: a}}\n"));
    assert!(!printed.succeeded && printed.errors.contains("ownSecretName"), "{}", printed.errors);
}

/// What Trainer's controller makes of a configuration: strictly decoded, with all defaults.
fn loaded(text: &str) -> Value {
    let printed = printed(text);
    assert!(printed.succeeded, "{}", printed.errors);
    let mut loaded: Value = serde_json::from_str(&printed.output).unwrap();
    // not set and empty mean the same: every address
    if loaded["webhook"]["host"] == "" {
        loaded["webhook"].as_object_mut().unwrap().remove("host");
    }
    loaded
}

fn printed(text: &str) -> slipway_gitops_tests::program::Printed {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    std::fs::write(&file, text).unwrap();
    run(Command::new(path("trainer-config").unwrap()).arg(&file), "").unwrap()
}
