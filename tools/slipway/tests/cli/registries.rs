//! `slipway promote --environment`: the version is one of that environment's registry.

use crate::project::{Project, Ran};
use crate::status::{mlflow, publish};

/// The settings of an environment whose MLflow has this address.
fn settings(address: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{mlflowUrl: '{address}'}}\n")
}

/// A project with the environment `staging` beside `local`.
fn project() -> Project {
    let project = Project::new();
    let cluster = project.read("clusters/local/cluster.yaml").replace("name: local", "name: staging");
    project.write("clusters/staging/cluster.yaml", &cluster);
    project.write("clusters/staging/settings/settings.yaml", &settings("https://mlflow.staging.example"));
    project.write("overlays/staging/server/models.yaml", "models: []\n");
    project
}

/// Promotes a version that no registry has, so that what is said is about the registry or about the version.
fn promote(project: &Project, environment: &str, mlflow: Option<&str>) -> Ran {
    let arguments = ["promote", "mnist", "--version", "9", "--environment", environment, "--remote", &project.forge()];
    project.run_with(&arguments, |command| {
        command.envs(mlflow.map(|address| ("MLFLOW_TRACKING_URI", address)));
    })
}

const UNKNOWN_VERSION: &str = "it has: 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_has_the_registry_of_local_alone() {
    let (project, mlflow) = (project(), mlflow().await);
    let alone = promote(&project, "staging", None);
    let set =
        "set MLFLOW_TRACKING_URI to it (https://mlflow.staging.example by clusters/staging/settings/settings.yaml)";
    let said = format!("the versions of staging are in its own MLflow: {set}");
    assert!(alone.code() == 6 && alone.errors().contains(&said), "{alone:?}");
    let _held = publish(&project, &project.root().join(".slipway"), &mlflow.uri(), "http://127.0.0.1:9");
    let local = promote(&project, "local", None);
    assert!(local.code() == 3 && local.errors().contains(UNKNOWN_VERSION), "{local:?}");
    let staging = promote(&project, "staging", None);
    let said = format!("in its own MLflow, and the loop on this machine has that of local: {set}");
    assert!(staging.code() == 6 && staging.errors().contains(&said), "{staging:?}");
    let moon = promote(&project, "moon", None);
    assert!(moon.code() == 3 && moon.errors().contains("moon") && moon.errors().contains("local, staging"), "{moon:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_of_another_environment_is_refused() {
    let (project, mlflow) = (project(), mlflow().await);
    // an address that no environment has may be a forwarded port
    let forwarded = promote(&project, "staging", Some(&mlflow.uri()));
    assert!(forwarded.code() == 3 && forwarded.errors().contains(UNKNOWN_VERSION), "{forwarded:?}");
    assert!(forwarded.errors().contains("it must be the MLflow of staging"), "{forwarded:?}");
    project.write("clusters/local/settings/settings.yaml", &settings(&mlflow.uri()));
    let other = promote(&project, "staging", Some(&mlflow.uri()));
    let said = "MLFLOW_TRACKING_URI is the MLflow of local, and the versions of staging are in its own";
    assert!(other.code() == 3 && other.errors().contains(said), "{other:?}");
    project.write("clusters/staging/settings/settings.yaml", &settings(&mlflow.uri()));
    let own = promote(&project, "staging", Some(&mlflow.uri()));
    assert!(own.code() == 3 && own.errors().contains(UNKNOWN_VERSION), "{own:?}");
    assert!(!own.errors().contains("must be"), "{own:?}");
}
