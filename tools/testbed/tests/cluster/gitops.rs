//! Argo CD, from a git repository that tests push to.

use std::path::Path;
use std::process::Command;

use kube::api::DynamicObject;
use testbed::testing::{Namespace, Testbed};

use crate::{BUSYBOX, LIMIT};

#[tokio::test]
async fn an_application_is_synced_and_healthy_and_degraded_when_its_job_fails() {
    let testbed = Testbed::get().await.unwrap();
    let namespace = testbed.namespace("gitops").await.unwrap();
    let work = tempfile::tempdir().unwrap();
    let repository = testbed.repository(namespace.name()).unwrap();
    git(work.path(), &["init", "--quiet", "--initial-branch=main"]);
    push(work.path(), &repository.here, "true");

    let _application = Application::create(&testbed, namespace.name(), &repository.inside);
    wait(&namespace, "Synced", "Healthy").await;
    assert_eq!(namespace.ask(&["get", "configmap", "settings", "-o", "jsonpath={.data.command}"]).unwrap(), "true");

    push(work.path(), &repository.here, "false");
    wait(&namespace, "Synced", "Degraded").await;
}

/// Commits a config map and a job that runs `command`, and pushes them.
fn push(work: &Path, repository: &str, command: &str) {
    let manifests = format!(
        r#"
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{command: "{command}"}}
---
apiVersion: batch/v1
kind: Job
metadata: {{name: run-{command}}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: c, image: "{BUSYBOX}", command: ["{command}"]}}]
"#
    );
    std::fs::write(work.join("job.yaml"), manifests).unwrap();
    git(work, &["add", "job.yaml"]);
    git(
        work,
        &[
            "-c",
            "user.name=testbed",
            "-c",
            "user.email=testbed@slipway.example",
            "commit",
            "--quiet",
            "--message",
            command,
        ],
    );
    git(work, &["push", "--quiet", repository, "main"]);
}

fn git(folder: &Path, arguments: &[&str]) {
    let output =
        Command::new("git").current_dir(folder).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An Application in Argo CD's own namespace, deleted when the value is dropped.
struct Application {
    testbed: Testbed,
    name: String,
}

impl Application {
    fn create(testbed: &Testbed, name: &str, url: &str) -> Self {
        let object = serde_json::json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {
                "project": "default",
                "source": {"repoURL": url, "targetRevision": "main", "path": "."},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
                "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
            },
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), object.to_string()).unwrap();
        let output = testbed.kubectl().args(["apply", "-f"]).arg(file.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { testbed: testbed.clone(), name: name.to_owned() }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let delete = self
            .testbed
            .kubectl()
            .args(["--namespace", "argocd", "delete", "application", &self.name, "--wait=false"])
            .output();
        drop(delete);
    }
}

async fn wait(namespace: &Namespace, sync: &str, health: &str) {
    let as_wanted = |object: &DynamicObject| {
        let status = &object.data["status"];
        status["sync"]["status"] == sync && status["health"]["status"] == health
    };
    namespace.wait_in("argocd", "argoproj.io/v1alpha1/Application", namespace.name(), LIMIT, as_wanted).await.unwrap();
}
