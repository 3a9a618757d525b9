//! This repository's own tree with one of its switches thrown: still right, and wrong if a part of the change is forgotten.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::project::{Project, Ran};

/// What `check` reads.
const READ: [&str; 6] = ["argocd", "base", "clusters", "datasets", "experiments", "overlays"];

fn copy() -> (Project, TempDir) {
    let project = Project::new();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for folder in READ {
        let _ = std::fs::remove_dir_all(project.root().join(folder));
        let done = Command::new("cp").arg("-R").arg(own.join(folder)).arg(project.root()).status().unwrap();
        assert!(done.success(), "copying {folder}");
    }
    (project, tempfile::tempdir().unwrap())
}

fn check((project, cache): &(Project, TempDir)) -> Ran {
    let ran = project.run_with(&["check", "--complete", "-o", "json"], |command| {
        assert!(std::env::var_os("SLIPWAY_KUSTOMIZE").is_some(), "SLIPWAY_KUSTOMIZE is not set; `make test` sets it");
        command.env("XDG_CACHE_HOME", cache.path());
    });
    assert!(ran.json()["kustomizations"].as_u64().unwrap() > 50, "{ran:?}");
    ran
}

fn replace(project: &Project, path: &str, from: &str, to: &str) {
    let text = project.read(path);
    assert!(text.contains(from), "{path} has no {from}");
    project.write(path, &text.replace(from, to));
}

#[test]
fn mlflow_asks_for_a_login_by_one_line_in_each_environment() {
    let tree = copy();
    for environment in ["local", "staging", "production"] {
        let path = format!("overlays/{environment}/mlflow/kustomization.yaml");
        let images = format!("../../../clusters/{environment}/images");
        let both = if environment == "local" {
            format!("{images}, ../../../base/mlflow/login")
        } else {
            format!("{images}\n  - ../../../base/mlflow/login")
        };
        replace(&tree.0, &path, &images, &both);
    }
    // production has its Secrets from a store, so there the list of them is the second line
    let without = check(&tree).findings();
    assert!(
        !without.is_empty()
            && without.iter().all(|one| one.starts_with("base/mlflow/login/") && one.ends_with("unknown-secret")),
        "{without:?}"
    );
    let list = "overlays/production/external-credentials/kustomization.yaml";
    replace(&tree.0, list, "credentials.yaml]", "credentials.yaml, mlflow-login.yaml]");
    let ran = check(&tree);
    assert_eq!(ran.code(), 0, "{ran:?}");
}

#[test]
fn the_gateway_apis_definitions_can_be_left_to_the_cloud() {
    let tree = copy();
    for environment in ["staging", "production"] {
        let path = format!("clusters/{environment}/kustomization.yaml");
        replace(&tree.0, &path, "  - ../../argocd/applications/gateway-api\n", "");
    }
    let ran = check(&tree);
    assert_eq!(ran.code(), 0, "{ran:?}");
}
