//! The work tree and a commit with the same files are the same tree.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use slipway_git::Repository;
use slipway_project::{Project, Tree};
use slipway_repositories::git;

fn write(root: &Path, path: &str, text: &str) {
    fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
    fs::write(root.join(path), text).unwrap();
}

#[test]
fn the_work_tree_and_a_commit_are_read_by_the_same_rules() {
    let folder = tempfile::tempdir().unwrap();
    let (root, other) = (&folder.path().join("work"), &folder.path().join("other"));
    write(other, "a.yaml", "x: 1\n");
    git(other, &["init", "--quiet"]);
    git(other, &["add", "-A"]);
    git(other, &["commit", "--quiet", "-m", "other"]);

    write(root, "experiments/a.yaml", "x: 1\n");
    write(root, "experiments/.hidden.yaml", "x: 1\n");
    write(root, "base/thing/b.yaml", "x: 1\n");
    write(root, "docs/not-read.yaml", "x: 1\n");
    git(root, &["init", "--quiet"]);
    for (link, target) in [
        ("experiments/.#a.yaml", "ann@host.1:1"),
        ("experiments/same.yaml", "a.yaml"),
        ("base/up", ".."),
        ("base/thing/here", "."),
        ("base/things", "thing"),
        ("base/round", "round"),
        ("base/thing/far", "../../../outside"),
        ("base/gone.yaml", "gone/nowhere.yaml"),
        ("base/docs.yaml", "../docs/not-read.yaml"),
        ("overlays", "base"),
        ("datasets", "/nowhere"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    let local = ["-c", "protocol.file.allow=always"];
    git(root, &[&local[..], &["submodule", "--quiet", "add", &other.display().to_string(), "base/module"]].concat());
    git(root, &["add", "-A"]);
    git(root, &["commit", "--quiet", "-m", "first"]);

    let here = Tree::of_work_tree(root).unwrap();
    let committed = Tree::at(&Repository::open(root).unwrap(), "HEAD").unwrap();
    assert_eq!(here.files(), committed.files());
    let files: Vec<&str> = here.files().keys().map(String::as_str).collect();
    assert_eq!(files, ["base/thing/b.yaml", "experiments/.hidden.yaml", "experiments/a.yaml"]);
    assert_eq!(here.written_in("experiments").collect::<Vec<_>>(), ["experiments/a.yaml"]);

    let folders = ["base", "datasets", "experiments", "overlays"];
    let unread = |tree: &Tree| -> Vec<String> {
        tree.unread(&folders).iter().map(|one| format!("{} {}", one.file, one.code)).collect()
    };
    assert_eq!(
        unread(&here),
        ["base/module submodule", "base/things link", "experiments/same.yaml link", "overlays link"]
    );
    assert_eq!(unread(&here), unread(&committed));
    let outside = |tree: &Tree| -> Vec<String> { tree.links_outside().map(|(link, _)| link.to_owned()).collect() };
    assert_eq!(outside(&here), ["base/docs.yaml", "base/thing/far", "datasets"]);
    assert_eq!(outside(&here), outside(&committed));
    let project = Project::read(&here);
    assert!(project.findings.iter().any(|one| one.code == "link" && one.file == "experiments/same.yaml"));
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.files().keys().map(String::as_str).collect()
}

/// An ignored file is in no commit, so Argo CD never sees it.
#[test]
fn what_git_ignores_is_read_in_neither() {
    let folder = tempfile::tempdir().unwrap();
    for (project, top) in [("alone", "alone"), ("mono/ml", "mono")] {
        let (root, top) = (&folder.path().join(project), &folder.path().join(top));
        for path in [
            "base/a/a.yaml",
            "base/a/local.yaml",
            "base/a/mine.yaml",
            "base/a/node_modules/deep/x.yaml",
            "base/kept/local.yaml",
            "base/kept/other.yaml",
            "overlays/local/kept.yaml",
            "overlays/local/x.yaml",
            "overlays/new/x.yaml",
        ] {
            write(root, path, "x: 1\n");
        }
        symlink("a", root.join("base/local.link")).unwrap();
        git(top.parent().unwrap(), &["init", "--quiet", &top.display().to_string()]);
        write(root, "base/nested/x.yaml", "x: 1\n");
        git(&root.join("base/nested"), &["init", "--quiet"]);
        let (everywhere, here) = (
            "node_modules/\nlocal.yaml\n*.link\nnested\n",
            "/overlays/local/\n/overlays/new\n!/base/kept/local.yaml\n",
        );
        write(top, ".gitignore", everywhere);
        write(root, ".gitignore", &format!("{}{here}", if root == top { everywhere } else { "" }));
        write(top, ".git/info/exclude", "mine.yaml\n");
        git(top, &["add", "-A"]);
        // tracked in spite of a rule, as its other files are not
        git(root, &["add", "--force", "overlays/local/kept.yaml"]);
        git(top, &["commit", "--quiet", "-m", "first"]);

        let here = Tree::of_work_tree(root).unwrap();
        let committed = Tree::at(&Repository::project(root).unwrap(), "HEAD").unwrap();
        assert_eq!(
            paths(&here),
            ["base/a/a.yaml", "base/kept/local.yaml", "base/kept/other.yaml", "overlays/local/kept.yaml"],
            "{project}"
        );
        assert_eq!(here.files(), committed.files(), "{project}");
        let folders = ["base", "overlays"];
        assert_eq!((here.unread(&folders), committed.unread(&folders)), (vec![], vec![]), "{project}");
        // a new file that no rule names is read before it is committed
        write(root, "base/a/b.yaml", "x: 1\n");
        assert_eq!(paths(&Tree::of_work_tree(root).unwrap())[..2], ["base/a/a.yaml", "base/a/b.yaml"]);
    }
}

#[test]
fn rules_of_no_repository_and_of_one_that_ignores_the_project_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let root = &folder.path().join("outer/scratch/project");
    write(root, "base/local.yaml", "x: 1\n");
    write(root, ".gitignore", "local.yaml\n");
    assert_eq!(paths(&Tree::of_work_tree(root).unwrap()), ["base/local.yaml"], "no repository");
    let outer = &folder.path().join("outer");
    git(outer, &["init", "--quiet"]);
    assert_eq!(paths(&Tree::of_work_tree(root).unwrap()), [""; 0]);
    write(outer, ".gitignore", "scratch\n");
    assert_eq!(
        paths(&Tree::of_work_tree(root).unwrap()),
        ["base/local.yaml"],
        "the repository does not hold the project"
    );
}

#[test]
fn a_monitor_names_experiments_on_its_own_dataset() {
    let dataset = |name: &str, retrain: &str| {
        format!(
            "apiVersion: slipway.dev/v1alpha1\nkind: Dataset\nmetadata: {{name: {name}}}\nspec:\n  source: {{idx: {{images: a, labels: b}}}}\n  classes: 2\n  \
             shape: [8, 8]\n  split: {{validation: 0.1, test: 0.1, seed: 0}}\n  pipeline: {{}}\n  digest: sha256:{}\n  monitor:\n    \
             retrain: {{experiments: [{retrain}]}}\n",
            "a".repeat(64)
        )
    };
    let experiment = "apiVersion: slipway.dev/v1alpha1\nkind: Experiment\nmetadata: {name: e}\nspec:\n  dataset: ours\n  model: {architecture: cnn}\n  \
                      training: {epochs: 1, batchSize: 8, optimizer: {name: adam, learningRate: 0.1}, seed: 1}\n  workers: {count: 1, cpu: 1, memory: 1Gi}\n  \
                      budget: {cpuHours: 9, deadline: 1h}\n";
    let cluster = "apiVersion: slipway.dev/v1alpha1\nkind: Cluster\nmetadata: {name: local}\nspec:\n  trainerImage: t:1\n  prices: {cpuHour: 1, currency: EUR}\n";
    let read = |ours: &str, theirs: &str| {
        let mut tree = Tree::default();
        tree.insert("datasets/ours.yaml", dataset("ours", ours).into_bytes());
        tree.insert("datasets/theirs.yaml", dataset("theirs", theirs).into_bytes());
        tree.insert("experiments/e.yaml", experiment.into());
        tree.insert("clusters/local/cluster.yaml", cluster.into());
        let all = Project::read(&tree).findings;
        all.iter().map(|one| (one.file.clone(), one.line, one.column, one.code)).collect::<Vec<_>>()
    };
    let wrong = read("e", "e");
    assert_eq!(wrong, [("datasets/theirs.yaml".to_owned(), 12, 29, "wrong-value")]);
    let unknown = read("e, f", "g");
    let expected = [("datasets/ours.yaml", 32), ("datasets/theirs.yaml", 29)];
    assert_eq!(unknown, expected.map(|(file, column)| (file.to_owned(), 12, column, "unknown-experiment")));
}
