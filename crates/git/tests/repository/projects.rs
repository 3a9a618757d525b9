//! A project in a folder of a larger repository.

use std::fs;

use slipway_git::Repository;

use crate::{change, git, repositories};

#[test]
fn paths_are_those_of_the_project() {
    let (folder, whole, bare, _) = repositories();
    let work = folder.path().join("work");
    fs::create_dir_all(work.join("mono/ml/jobs")).unwrap();
    fs::write(work.join("mono/ml/jobs/a.yaml"), "a").unwrap();
    fs::write(work.join("mono/other.txt"), "other").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "a project"]);
    let project = Repository::project(&work.join("mono/ml")).unwrap();
    assert_eq!((project.prefix(), project.root()), ("mono/ml", whole.root()));

    let head = project.head().unwrap().unwrap();
    assert_eq!(project.files(&head, &[]).unwrap(), ["jobs/a.yaml"]);
    assert_eq!(project.files(&head, &["jobs"]).unwrap(), ["jobs/a.yaml"]);
    assert_eq!(project.read(&head, "jobs/a.yaml").unwrap().unwrap(), b"a");
    assert_eq!(project.read(&head, "a.txt").unwrap(), None);
    assert_eq!(project.read_folder(&head, "jobs").unwrap().len(), 1);
    let brought = project.path_history(&head, "jobs/a.yaml").unwrap().changes;
    assert_eq!(brought.iter().map(|change| change.commit.id.as_str()).collect::<Vec<_>>(), [head.as_str()]);
    assert!(project.path_history(&head, "a.txt").unwrap().changes.is_empty());

    let commit = project.commit(Some(&head), &change("jobs/b.yaml", "b"), "more").unwrap();
    assert_eq!(project.files(&commit, &[]).unwrap(), ["jobs/a.yaml", "jobs/b.yaml"]);
    assert_eq!(whole.read(&commit, "mono/ml/jobs/b.yaml").unwrap().unwrap(), b"b");
    assert_eq!(whole.files(&commit, &[]).unwrap().len(), 3 + 3);
    fs::write(work.join("a.txt"), "outside").unwrap();
    assert!(project.is_clean(&["jobs"]).unwrap());
    fs::write(work.join("mono/ml/jobs/a.yaml"), "changed").unwrap();
    assert!(!project.is_clean(&["jobs/a.yaml"]).unwrap());

    // the same folder of a bare repository
    project.push(&bare.display().to_string(), &commit, "main").unwrap();
    let there = Repository::open(&bare).unwrap().below(project.prefix());
    assert_eq!(there.read_folder("main", "jobs").unwrap().len(), 2);
    // a revision from before the project
    assert!(project.files(&format!("{head}~1"), &[]).unwrap().is_empty());
}

#[test]
fn the_top_of_a_repository_and_a_bare_one_are_projects() {
    let (folder, whole, bare, _) = repositories();
    assert_eq!(Repository::project(&folder.path().join("work")).unwrap().prefix(), "");
    assert_eq!(Repository::project(&bare).unwrap().prefix(), "");
    std::os::unix::fs::symlink(folder.path().join("work/deep"), folder.path().join("link")).unwrap();
    let linked = Repository::project(&folder.path().join("link")).unwrap();
    assert_eq!((linked.prefix(), linked.root()), ("deep", whole.root()));
}
