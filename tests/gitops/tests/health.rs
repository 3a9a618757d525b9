//! The health checks, by Argo CD's own tool: every fixture is named after the status that it must have, and begins with its message.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

use slipway_gitops_tests::program::{kustomize, need, path, run};
use slipway_gitops_tests::tree::{documents, repository};

/// Each kind with the statuses that it may have.
const KINDS: [(&str, &[&str]); 4] = [
    ("Application", &["Progressing", "Healthy", "Degraded", "Suspended"]),
    // a run that fails, or a schedule that is suspended, must not hold up the sync of the root
    ("CronJob", &["Healthy"]),
    ("JobSet", &["Progressing", "Healthy", "Degraded", "Suspended"]),
    ("TrainJob", &["Progressing", "Healthy", "Degraded", "Suspended"]),
];

#[test]
fn every_state_has_its_status_and_message() {
    need(&["kustomize", "argocd"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let built = documents(&kustomize(&repository().join("overlays/local/argocd")).unwrap()).unwrap();
    let map = built.iter().find(|one| one["kind"] == "ConfigMap" && one["metadata"]["name"] == "argocd-cm").unwrap();
    let map_path = folder.path().join("argocd-cm.yaml");
    std::fs::write(&map_path, map.to_string()).unwrap();

    for (kind, statuses) in KINDS {
        let fixtures = fixtures(kind);
        for status in statuses {
            let of_status = fixtures.iter().filter(|path| status_of(path) == *status).count();
            assert!(of_status > 0, "{kind} has no fixture of {status}");
        }
        for fixture in fixtures {
            assert_eq!(judged(&fixture, &map_path), expected(&fixture), "{}", fixture.display());
        }
    }
}

fn fixtures(kind: &str) -> Vec<PathBuf> {
    let folder = repository().join("argocd/config/health/testdata").join(kind);
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// `Healthy` of `Healthy-complete.yaml`.
fn status_of(fixture: &Path) -> String {
    fixture.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned()
}

fn expected(fixture: &Path) -> (String, String) {
    let text = std::fs::read_to_string(fixture).unwrap();
    let message = text.lines().next().unwrap().strip_prefix("# message:").expect("a first line with the message");
    (status_of(fixture), message.trim().to_owned())
}

fn judged(fixture: &Path, map: &Path) -> (String, String) {
    let mut command = Command::new(path("argocd").unwrap());
    command.args(["admin", "settings", "resource-overrides", "health"]).arg(fixture).arg("--argocd-cm-path").arg(map);
    // Argo CD would otherwise look for a cluster.
    let printed = run(command.env("KUBECONFIG", "/dev/null"), "").unwrap();
    assert!(printed.succeeded, "{}", printed.errors);
    let field = |name: &str| {
        let line = printed.output.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {}", printed.output)).trim().to_owned()
    };
    (field("STATUS:"), field("MESSAGE:"))
}
