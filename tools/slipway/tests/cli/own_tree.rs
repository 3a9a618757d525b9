//! This repository's own tree with one of its switches thrown: still right, and wrong if a part of the change is forgotten.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::project::{Project, Ran};

/// What `check` reads.
const READ: [&str; 7] = ["argocd", "base", "clusters", "datasets", "experiments", "overlays", "trainers"];

fn copy() -> (Project, TempDir) {
    let project = Project::new();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for folder in READ {
        let _ = std::fs::remove_dir_all(project.root().join(folder));
        // this repository need not have programs
        if folder == "trainers" && !own.join(folder).is_dir() {
            continue;
        }
        let done = Command::new("cp").arg("-R").arg(own.join(folder)).arg(project.root()).status().unwrap();
        assert!(done.success(), "copying {folder}");
    }
    (project, tempfile::tempdir().unwrap())
}

fn check((project, cache): &(Project, TempDir)) -> Ran {
    project.run_with(&["check", "--complete", "--offline", "-o", "json"], |command| {
        assert!(std::env::var_os("SLIPWAY_KUSTOMIZE").is_some(), "SLIPWAY_KUSTOMIZE is not set; `make test` sets it");
        command.env("XDG_CACHE_HOME", cache.path());
    })
}

fn is_right(ran: &Ran) {
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert!(ran.json()["kustomizations"].as_u64().unwrap() > 50, "{ran:?}");
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
        if environment == "local" {
            replace(&tree.0, &path, "components: [", "components: [../../../base/mlflow/login, ");
        } else {
            replace(&tree.0, &path, "  # - ../../../base/mlflow/login", "  - ../../../base/mlflow/login");
        }
    }
    // production has its Secrets from a store, so there the list of them is the second line
    let without = check(&tree).findings();
    let is_missing = |one: &String| one.starts_with("base/mlflow/deployment.yaml:") && one.ends_with(" unknown-secret");
    assert!(!without.is_empty() && without.iter().all(is_missing), "{without:?}");
    let list = "overlays/production/external-credentials/kustomization.yaml";
    replace(&tree.0, list, "credentials.yaml]", "credentials.yaml, mlflow-login.yaml]");
    is_right(&check(&tree));
}

#[test]
fn feedback_is_taken_by_one_line_for_the_server_and_one_for_the_store() {
    let tree = copy();
    for environment in ["local", "staging", "production"] {
        switch_on(&tree.0, environment, "server", "server/feedback");
    }
    for environment in ["local", "staging"] {
        switch_on(&tree.0, environment, "minio", "minio/feedback");
    }
    open_the_store(&tree.0);
    has_keys_of_the_server(&tree);
}

#[test]
fn a_sample_of_requests_is_kept_by_one_line_for_the_server_and_one_for_the_store_also_beside_feedback() {
    let tree = copy();
    for environment in ["local", "staging", "production"] {
        switch_on(&tree.0, environment, "server", "server/samples");
    }
    for environment in ["local", "staging"] {
        switch_on(&tree.0, environment, "minio", "minio/samples");
    }
    open_the_store(&tree.0);
    has_keys_of_the_server(&tree);

    for environment in ["local", "staging", "production"] {
        switch_on(&tree.0, environment, "server", "server/feedback");
    }
    for environment in ["local", "staging"] {
        switch_on(&tree.0, environment, "minio", "minio/feedback");
    }
    let server = "overlays/production/server/kustomization.yaml";
    let text = tree.0.read(server);
    tree.0.write(server, &format!("{}\n      - {{op: remove, path: /spec/egress/2}}\n", text.trim_end()));
    is_right(&check(&tree));
}

#[test]
fn the_pipeline_runs_as_a_job_by_one_line() {
    let tree = copy();
    for environment in ["local", "staging", "production"] {
        switch_on(&tree.0, environment, "dataset-monitor", "dataset-monitor/pipeline");
    }
    is_right(&check(&tree));
}

#[test]
fn nobody_is_told_of_what_lands_by_one_line_less_for_the_store_and_one_for_the_monitor() {
    let tree = copy();
    for component in ["minio", "dataset-monitor"] {
        let line = format!("../../../base/{component}/notifications");
        let path = |environment: &str| format!("overlays/{environment}/{component}/kustomization.yaml");
        replace(&tree.0, &path("local"), &format!("{line}, "), "");
        replace(&tree.0, &path("staging"), &format!("  - {line}\n"), "");
    }
    is_right(&check(&tree));
}

/// Puts a component of base/ into an overlay, as its comments say: before the settings.
fn switch_on(project: &Project, environment: &str, overlay: &str, component: &str) {
    let path = format!("overlays/{environment}/{overlay}/kustomization.yaml");
    let line = format!("- ../../../base/{component}");
    if project.read(&path).contains(&format!("# {line}")) {
        replace(project, &path, &format!("# {line}"), &line);
    } else {
        replace(project, &path, "components: [", &format!("components: [../../../base/{component}, "));
    }
}

/// Opens the server's way to the managed object store of production, as the comment there says.
fn open_the_store(project: &Project) {
    let path = "overlays/production/server/kustomization.yaml";
    let text = project.read(path);
    let (rest, patch) = text.split_once("# patches:").unwrap();
    project.write(path, &format!("{rest}patches:{}", patch.replace("\n# ", "\n")));
}

/// Production has its Secrets from a store: the server's key is the last line there, and is missed without it.
fn has_keys_of_the_server(tree: &(Project, TempDir)) {
    let without = check(tree).findings();
    assert!(!without.is_empty() && without.iter().all(|one| one.ends_with(" unknown-secret")), "{without:?}");
    let list = "overlays/production/external-credentials/kustomization.yaml";
    replace(&tree.0, list, "credentials.yaml]", "credentials.yaml, server-s3.yaml]");
    is_right(&check(tree));
}

#[test]
fn the_gateway_apis_definitions_can_be_left_to_the_cloud() {
    let tree = copy();
    for environment in ["staging", "production"] {
        let path = format!("clusters/{environment}/kustomization.yaml");
        replace(&tree.0, &path, "  - ../../argocd/applications/gateway-api\n", "");
    }
    is_right(&check(&tree));
}

/// A file of this repository.
fn own(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What follows each `before` in a text, up to the first character that no version has.
fn versions<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    let of_a_version = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    text.match_indices(before)
        .map(|(at, _)| &text[at + before.len()..])
        .map(|rest| &rest[..rest.find(|c| !of_a_version(c)).unwrap_or(rest.len())])
        .collect()
}

#[test]
fn kind_and_the_test_cluster_run_the_same_minor_version_of_kubernetes() {
    let minor = |version: &str| version.split('.').take(2).collect::<Vec<_>>().join(".");
    let own_cluster = own("tools/testbed/modules/kube/go.mod");
    let tested = versions(&own_cluster, "\tk8s.io/kubernetes v");
    let kind = own("clusters/local/kind.yaml");
    let of_kind = versions(&kind, "image: kindest/node:v");
    assert_eq!((tested.len(), of_kind.len()), (1, 1), "{tested:?} {of_kind:?}");
    assert_eq!(minor(of_kind[0]), minor(tested[0]));
    // docs/kind.md says what its readers get
    assert_eq!(
        versions(&own("docs/kind.md"), "a real Kubernetes ").first().map(|one| minor(one)),
        Some(minor(tested[0]))
    );
}

/// Trainer refuses a configuration with a field that it does not know, and 2.4 renames those below `certManagement`. So ours has none of them,
/// and `make test-gitops` reads it by the code of the version that is deployed.
#[test]
fn trainers_configuration_names_no_field_that_its_next_release_renames() {
    let application = own("argocd/applications/kubeflow-trainer/application.yaml");
    let of_testbed = own("tools/testbed/manifests/trainer/controller_manager_config.yaml");
    for text in [&application, &of_testbed] {
        assert!(text.contains("kind: Configuration") && !text.contains("certManagement"), "{text}");
    }
    let modules = own("tools/testbed/modules/controllers/go.mod");
    let read_by = versions(&modules, "github.com/kubeflow/trainer/v2 v");
    let deployed = versions(&application, "targetRevision: v");
    assert_eq!(read_by.len(), 1, "{read_by:?}");
    assert!(deployed.len() == 4 && deployed.iter().all(|one| *one == read_by[0]), "{deployed:?} {read_by:?}");
}
