//! The ids of folders, and what of a folder git would not commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use slipway_git::{Error, Leaf, Merge, Repository, tree_id};

use crate::{change, git, repositories};

#[test]
fn a_folder_has_the_id_that_git_gives_it() {
    let (folder, repository, _, head) = repositories();
    let work = folder.path().join("work");
    let files: BTreeMap<String, Option<Vec<u8>>> = [
        ("code/train.py", "print()"),
        ("code/train/a.py", "a"),
        ("code/train-b/c/d.py", ""),
        ("code/train.d/x", "x"),
        ("code/run.sh", "#!/bin/sh"),
        ("code/ü.txt", "ü"),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), Some(text.as_bytes().to_vec())))
    .collect();
    let executables = BTreeSet::from(["code/run.sh".to_owned()]);
    let commit = repository.commit_with_executables(Some(&head), &files, &executables, "code").unwrap();
    assert_eq!(repository.executables(&commit, &["code"]).unwrap(), executables);
    let leaves = files.iter().map(|(path, content)| {
        let bytes = content.as_deref().unwrap_or_default();
        let leaf = if executables.contains(path) { Leaf::Executable(bytes) } else { Leaf::File(bytes) };
        (path.strip_prefix("code/").unwrap(), leaf)
    });
    assert_eq!(tree_id(leaves), Some(git(&work, &["rev-parse", &format!("{commit}:code")])));

    // a changed file stays executable, and a link is what it names
    let change = BTreeMap::from([("code/run.sh".to_owned(), Some(b"#!/bin/bash".to_vec()))]);
    let commit = repository.commit(Some(&commit), &change, "changed").unwrap();
    assert_eq!(repository.executables(&commit, &["code"]).unwrap(), executables);
    fs::create_dir(work.join("links")).unwrap();
    std::os::unix::fs::symlink("../a.txt", work.join("links/a")).unwrap();
    git(&work, &["add", "links"]);
    git(&work, &["commit", "--quiet", "-m", "links"]);
    assert_eq!(tree_id([("a", Leaf::Link("../a.txt"))]), Some(git(&work, &["rev-parse", "HEAD:links"])));
    assert_eq!(tree_id([]), None);
}

#[test]
fn what_git_ignores_and_does_not_track() {
    let (folder, _, _, _) = repositories();
    let work = folder.path().join("work");
    fs::create_dir_all(work.join("ml/code/__pycache__")).unwrap();
    fs::write(work.join(".gitignore"), "__pycache__/\n*.log\n").unwrap();
    for path in ["a.log", "kept.log", "a.py", "__pycache__/a.pyc"] {
        fs::write(work.join("ml/code").join(path), "x").unwrap();
    }
    git(&work, &["add", ".gitignore"]);
    git(&work, &["add", "--force", "ml/code/kept.log"]);
    let project = Repository::project(&work.join("ml")).unwrap();
    let paths = ["code", "code/a.log", "code/kept.log", "code/a.py", "code/__pycache__", "code/__pycache__/a.pyc"];
    let ignored = project.ignored().unwrap().unwrap();
    let found: Vec<&str> = paths.into_iter().filter(|path| ignored.holds(path).unwrap()).collect();
    assert_eq!(found, ["code/a.log", "code/__pycache__", "code/__pycache__/a.pyc"]);
    // a repository that ignores the project does not hold it, and neither does one without a work tree
    fs::write(work.join(".gitignore"), "ml\n").unwrap();
    git(&work, &["rm", "--quiet", "--cached", "-r", "ml"]);
    assert!(project.ignored().unwrap().is_none());
    assert!(Repository::open(&folder.path().join("forge.git")).unwrap().ignored().unwrap().is_none());
}

#[test]
fn what_a_merge_gives_is_read_by_the_id_of_its_tree() {
    let (_folder, repository, _, head) = repositories();
    let ours = repository.commit(Some(&head), &change("ours.txt", "ours"), "ours").unwrap();
    let theirs = repository.commit(Some(&head), &change("theirs.txt", "theirs"), "theirs").unwrap();
    let Merge::Tree(tree) = repository.merge(&ours, &theirs).unwrap() else { panic!("no conflict") };
    assert_eq!(repository.read(&tree, "ours.txt").unwrap().unwrap(), b"ours");
    assert!(repository.files(&tree, &[]).unwrap().contains(&"theirs.txt".to_owned()));
    assert_eq!(repository.merge_base(&ours, &theirs).unwrap(), Some(head));
    // it is no commit
    assert_eq!(repository.resolve(&tree).unwrap(), None);
    let blob = repository.write_blob(b"x").unwrap();
    assert!(matches!(repository.files(&blob, &[]), Err(Error::NoRevision(_))));
}
