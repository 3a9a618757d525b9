//! Reading revisions and making commits.

use std::collections::BTreeMap;
use std::fs;

use slipway_git::{Error, Repository};

use crate::{change, git, repositories};

#[test]
fn a_commit_leaves_the_work_tree_and_the_index_alone() {
    let (folder, repository, _, head) = repositories();
    let work = folder.path().join("work");
    fs::write(work.join("a.txt"), "unsaved thoughts").unwrap();
    fs::write(work.join("staged.txt"), "staged").unwrap();
    git(&work, &["add", "staged.txt"]);
    let before = git(&work, &["status", "--porcelain"]);

    let changes = [
        ("new/very/deep/ü file.txt".to_owned(), Some(b"new".to_vec())),
        ("deep/er/b.txt".to_owned(), None),
        ("never/there".to_owned(), None),
    ];
    let commit = repository.commit(Some(&head), &changes.into(), "a change").unwrap();
    assert_eq!(git(&work, &["status", "--porcelain"]), before);
    assert_eq!(fs::read_to_string(work.join("a.txt")).unwrap(), "unsaved thoughts");
    assert_eq!(repository.head().unwrap().unwrap(), head);

    let files = git(&work, &["-c", "core.quotePath=false", "ls-tree", "-r", &commit]);
    assert!(files.contains("new/very/deep/ü file.txt") && !files.contains("b.txt"), "{files}");
    assert!(files.contains("100755"), "the script is still executable: {files}");
    assert_eq!(repository.read_all(&commit, &["new"]).unwrap()["new/very/deep/ü file.txt"], b"new");
    assert!(!repository.is_clean(&["a.txt"]).unwrap() && repository.is_clean(&["deep/er/b.txt"]).unwrap());
    // nothing to change makes no commit
    assert_eq!(repository.commit(Some(&commit), &BTreeMap::new(), "nothing").unwrap(), commit);
}

#[test]
fn a_path_stays_in_the_tree() {
    let (_folder, repository, _, head) = repositories();
    for path in ["../up", "/etc/passwd", "a//b", ".git/config", "x/.GIT/hooks/y", "", "a/./b", "a\0b", "git~1/config"] {
        let refused = repository.commit(Some(&head), &change(path, "x"), "no").unwrap_err();
        assert!(matches!(refused, Error::Path(_)), "{path}: {refused}");
    }
}

#[test]
fn a_thousand_files_are_read_at_once() {
    let (_folder, repository, _, head) = repositories();
    let files: BTreeMap<_, _> =
        (0..1000).map(|n| (format!("many/{n}.bin"), Some(vec![u8::try_from(n % 256).unwrap(); n]))).collect();
    let commit = repository.commit(Some(&head), &files, "many").unwrap();
    let read = repository.read_all(&commit, &["many"]).unwrap();
    assert_eq!(read.len(), 1000);
    assert!(files.iter().all(|(path, content)| Some(&read[path]) == content.as_ref()));
    assert!(repository.read_all(&commit, &["nothing"]).unwrap().is_empty());
}

#[test]
fn a_file_is_read_by_its_name_alone() {
    let (_folder, repository, _, head) = repositories();
    let files = [
        ("data/with space.txt", "1"),
        ("data/ünïcode ☃.txt", "2"),
        ("data/[a]*.txt", "3"),
        ("data/deep/x", "4"),
        ("data2/x", "5"),
        ("new\nline", "6"),
    ];
    let changes = files.map(|(path, content)| (path.to_owned(), Some(content.as_bytes().to_vec()))).into();
    let commit = repository.commit(Some(&head), &changes, "names").unwrap();
    for (path, content) in files {
        assert_eq!(repository.read(&commit, path).unwrap().unwrap(), content.as_bytes(), "{path}");
    }
    for nothing in ["data", "data/*.txt", "data/deep", "data/", "none"] {
        assert_eq!(repository.read(&commit, nothing).unwrap(), None, "{nothing}");
    }
    // data2 is not below data
    let below = ["data/[a]*.txt", "data/deep/x", "data/with space.txt", "data/ünïcode ☃.txt"];
    assert_eq!(repository.files(&commit, &["data"]).unwrap(), below);
    assert_eq!(repository.files(&commit, &["data/"]).unwrap(), below);
    assert_eq!(repository.files(&commit, &[]).unwrap().len(), 9);
    assert_eq!(repository.read_all(&commit, &["data2", "deep"]).unwrap().len(), 2);
    let missing = repository.files("no-such-revision", &[]).unwrap_err();
    assert!(matches!(missing, Error::NoRevision(_)) && missing.to_string().contains("fetch it first"), "{missing}");
    let missing = repository.commit(Some("nowhere"), &BTreeMap::new(), "x").unwrap_err();
    assert!(matches!(missing, Error::NoRevision(_)) && missing.to_string().contains("fetch it first"), "{missing}");
    let direct = repository.read_folder(&commit, "data").unwrap();
    assert_eq!(direct.keys().collect::<Vec<_>>(), ["[a]*.txt", "with space.txt", "ünïcode ☃.txt"]);
    assert!(repository.read_folder(&commit, "none").unwrap().is_empty());
}

#[test]
fn a_script_stays_executable_and_a_folder_goes_with_its_last_file() {
    let (folder, repository, _, head) = repositories();
    let work = folder.path().join("work");
    let changes = [("run.sh".to_owned(), Some(b"#!/bin/sh\ntrue\n".to_vec())), ("deep/er/b.txt".to_owned(), None)];
    let commit = repository.commit(Some(&head), &changes.into(), "change").unwrap();
    assert!(git(&work, &["ls-tree", &commit, "run.sh"]).starts_with("100755 "));
    assert_eq!(repository.files(&commit, &[]).unwrap(), ["a.txt", "run.sh"]);
    // a file where a folder was, and the other way round
    let commit = repository.commit(Some(&head), &change("deep", "file"), "file").unwrap();
    assert_eq!(repository.files(&commit, &["deep"]).unwrap(), ["deep"]);
    let commit = repository.commit(Some(&commit), &change("deep/er", "file"), "folder").unwrap();
    assert_eq!(repository.files(&commit, &["deep"]).unwrap(), ["deep/er"]);
    // the first commit of all
    let first = repository.commit(None, &change("x/y", "z"), "first").unwrap();
    assert_eq!(repository.files(&first, &[]).unwrap(), ["x/y"]);
    assert_eq!(git(&work, &["rev-list", "--count", &first]), "1");
}

#[test]
fn a_file_and_a_folder_of_one_name_are_what_is_written_last() {
    let (folder, repository, _, head) = repositories();
    let work = folder.path().join("work");
    let text = |text: &str| Some(text.as_bytes().to_vec());
    // `deep` becomes a file; what is removed below it is gone anyway
    let changes = [("deep".to_owned(), text("file")), ("deep/er/b.txt".to_owned(), None)];
    let commit = repository.commit(Some(&head), &changes.into(), "file").unwrap();
    assert_eq!(repository.files(&commit, &[]).unwrap(), ["a.txt", "deep", "run.sh"]);
    // the file `deep` goes and a folder comes
    let changes = [("deep".to_owned(), None), ("deep/x".to_owned(), text("x"))];
    let commit = repository.commit(Some(&commit), &changes.into(), "folder").unwrap();
    assert_eq!(repository.files(&commit, &[]).unwrap(), ["a.txt", "deep/x", "run.sh"]);
    // a folder is not removed by its name, and the last file takes all its folders with it
    let nothing = [("deep".to_owned(), None)].into();
    assert_eq!(repository.commit(Some(&commit), &nothing, "no").unwrap(), commit);
    let all = ["a.txt", "deep/x", "run.sh"].map(|path| (path.to_owned(), None)).into();
    let empty = repository.commit(Some(&commit), &all, "empty").unwrap();
    assert!(repository.files(&empty, &[]).unwrap().is_empty());
    assert_eq!(repository.tree_of(&empty).unwrap(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    git(&work, &["fsck", "--strict", "--no-dangling", &empty]);
}

#[test]
fn what_was_given_is_committed_byte_for_byte() {
    let (folder, repository, _, head) = repositories();
    let work = folder.path().join("work");
    git(&work, &["config", "core.autocrlf", "input"]);
    fs::write(work.join(".gitattributes"), "*.txt text eol=lf\n").unwrap();
    let content = b"one\r\ntwo\r\n\0\xff";
    let changes = [("crlf.txt".to_owned(), Some(content.to_vec())), ("empty".to_owned(), Some(Vec::new()))];
    let commit = repository.commit(Some(&head), &changes.into(), "bytes").unwrap();
    assert_eq!(repository.read(&commit, "crlf.txt").unwrap().unwrap(), content);
    assert_eq!(repository.read(&commit, "empty").unwrap().unwrap(), b"");
}

#[test]
fn an_ignored_file_is_not_clean() {
    let (folder, repository, _, _) = repositories();
    let work = folder.path().join("work");
    git(&work, &["checkout", "--quiet", "run.sh"]);
    assert!(repository.is_clean(&["a.txt", "deep/er/b.txt"]).unwrap());
    fs::write(work.join(".git/info/exclude"), "secret.yaml\n").unwrap();
    fs::write(work.join("secret.yaml"), "x").unwrap();
    assert!(!repository.is_clean(&["secret.yaml"]).unwrap());
    // a name that is a pattern elsewhere is a name here, and a folder stands for what is below it
    assert!(repository.is_clean(&["*.yaml", "deep"]).unwrap());
    fs::write(work.join("deep/new"), "x").unwrap();
    assert!(!repository.is_clean(&["deep"]).unwrap() && !repository.is_dirty().unwrap());
    fs::write(work.join("run.sh"), "changed").unwrap();
    assert!(repository.is_dirty().unwrap());
    assert!(repository.is_clean(&[]).unwrap());
}

#[test]
fn the_index_is_not_written() {
    let (folder, repository, _, _) = repositories();
    git(&folder.path().join("work"), &["checkout", "--quiet", "run.sh"]);
    let (file, index) = (folder.path().join("work/a.txt"), folder.path().join("work/.git/index"));
    // the same content with another time: git status would refresh the index
    fs::File::options().write(true).open(&file).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let before = (fs::read(&index).unwrap(), fs::metadata(&index).unwrap().modified().unwrap());
    assert!(repository.is_clean(&["a.txt"]).unwrap() && !repository.is_dirty().unwrap());
    assert_eq!((fs::read(&index).unwrap(), fs::metadata(&index).unwrap().modified().unwrap()), before);
}

#[test]
fn a_repository_without_commits_has_no_head() {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "--quiet"]);
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    let repository = Repository::open(&folder.path().join("a/b")).unwrap();
    assert_eq!(repository.head().unwrap(), None);
    assert_eq!(repository.root(), folder.path().canonicalize().unwrap());
}

#[test]
fn a_file_is_merged_line_by_line_or_not_at_all() {
    let (_folder, repository, _, _) = repositories();
    let merge = |before: &str, ours: &str, theirs: &str| {
        let merged = repository.merge_contents(before.as_bytes(), ours.as_bytes(), theirs.as_bytes()).unwrap();
        merged.map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let before = "1\n2\n3\n4\n5\n";
    assert_eq!(merge(before, "one\n2\n3\n4\n5\n", "1\n2\n3\n4\nfive\n").as_deref(), Some("one\n2\n3\n4\nfive\n"));
    assert_eq!(merge(before, "one\n2\n3\n4\n5\n", "ONE\n2\n3\n4\n5\n"), None);
    // the same change on both sides is one
    assert_eq!(merge(before, "one\n2\n3\n4\n5\n", "one\n2\n3\n4\nfive\n").as_deref(), Some("one\n2\n3\n4\nfive\n"));
    assert_eq!(merge("", "a\n", "b\n"), None);
    assert_eq!(merge("1\0\n2\n3\n", "one\0\n2\n3\n", "1\0\n2\nthree\n"), None, "that is no text");
}
