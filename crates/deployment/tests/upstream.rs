//! An Application's objects from another repository: at a commit, a tag and a branch. With the real kustomize.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use slipway_deployment::{Kustomize, Programs, Result, environments, render};
use slipway_gitops::Object;
use slipway_project::Tree;
use slipway_repositories::git;

fn write(root: &Path, path: &str, text: &str) {
    fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
    fs::write(root.join(path), text).unwrap();
}

fn commit(upstream: &Path, level: &str) -> String {
    let settings = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{level: {level}}}\n");
    write(upstream, "manifests/settings.yaml", &settings);
    write(upstream, "manifests/kustomization.yaml", "resources: [settings.yaml]\n");
    git(upstream, &["add", "-A"]);
    git(upstream, &["commit", "--quiet", "-m", level]);
    git(upstream, &["rev-parse", "HEAD"])
}

/// The level that the Application `upstream` deploys.
fn level(project: &Path, upstream: &Path, revision: &str, kustomize: &Kustomize) -> String {
    let source = format!("repoURL: 'file://{}', targetRevision: '{revision}', path: manifests", upstream.display());
    let objects = rendered(project, &source, kustomize).unwrap();
    assert_eq!(objects.len(), 1);
    objects[0].to_json()["data"]["level"].as_str().unwrap().to_owned()
}

/// What the Application `upstream` with a source deploys.
fn rendered(project: &Path, source: &str, kustomize: &Kustomize) -> Result<Vec<Object>> {
    let application = |name: &str, source: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}, namespace: argocd}}\n\
             spec: {{project: p, source: {{{source}}}, destination: {{namespace: n}}}}\n"
        )
    };
    let root = application("root", "repoURL: https://example.org/this, targetRevision: main, path: clusters/e");
    let other = application("upstream", source);
    write(project, "clusters/e/root/root.yaml", &root);
    write(project, "clusters/e/root/kustomization.yaml", "resources: [root.yaml]\n");
    write(project, "clusters/e/upstream.yaml", &other);
    write(project, "clusters/e/kustomization.yaml", "resources: [upstream.yaml]\n");
    let tree = Tree::of_work_tree(project).unwrap();
    let (all, _) = environments(&tree, kustomize, None).unwrap();
    render(&tree, &all[0], "upstream", Programs { kustomize, helm: None })
}

fn kustomize(cache: &Path) -> Kustomize {
    let program = std::env::var_os("SLIPWAY_KUSTOMIZE").map(PathBuf::from);
    let program =
        program.expect("SLIPWAY_KUSTOMIZE is not set; `make test` sets it to the kustomize that `make setup` builds");
    Kustomize::find(&program, cache).unwrap()
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_empty() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    write(&project, "base/chart/Chart.yaml", "name: chart\n");
    for (source, reason) in [
        ("repoURL: https://example.org/this, targetRevision: v1, path: base/chart", "at v1, and these files are main"),
        (
            "repoURL: https://example.org/this, targetRevision: main, path: base/chart",
            "by helm, which does not run here",
        ),
    ] {
        let error = rendered(&project, source, &kustomize(&folder.path().join("cache"))).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn an_address_is_shown_without_its_login() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    for (rest, shown) in [
        ("", "https://127.0.0.1:9/up at v1: a source needs a path or a chart"),
        (", path: manifests", "fetch https://127.0.0.1:9/up v1"),
        (", path: manifests, helm: {valueFiles: [$other/values.yaml]}", "`ref: other`"),
        (", ref: here, path: manifests, helm: {valueFiles: [$here/values.yaml]}", "is in https://127.0.0.1:9/up,"),
    ] {
        let source = format!("repoURL: 'https://ann:secret@127.0.0.1:9/up', targetRevision: v1{rest}");
        let error = rendered(&project, &source, &kustomize(&folder.path().join("cache"))).unwrap_err().to_string();
        assert!(error.contains(shown) && !error.contains("secret"), "{error}");
    }
}

#[test]
fn a_commit_stays_and_a_branch_moves() {
    let folder = tempfile::tempdir().unwrap();
    let (project, upstream) = (folder.path().join("project"), folder.path().join("upstream"));
    let kustomize = kustomize(&folder.path().join("cache"));
    fs::create_dir_all(&upstream).unwrap();
    git(&upstream, &["init", "--quiet", "--initial-branch=main"]);
    let first = commit(&upstream, "one");
    git(&upstream, &["tag", "v1.0.0"]);
    for revision in [first.as_str(), "v1.0.0", "main"] {
        assert_eq!(level(&project, &upstream, revision, &kustomize), "one", "{revision}");
    }
    let second = commit(&upstream, "two");
    for (revision, expected) in [(first.as_str(), "one"), (second.as_str(), "two"), ("v1.0.0", "one"), ("main", "two")]
    {
        assert_eq!(level(&project, &upstream, revision, &kustomize), expected, "{revision}");
    }
}
