//! Real repositories, made by the real git.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use slipway_forge::{BareForge, Error, Git, PullRequest, PullRequestState, forge_of};
use tempfile::TempDir;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=A Person", "-c", "user.email=a@example.org"];
    let done = Command::new("git").arg("-C").arg(folder).args(identity).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// A repository with a commit, and a bare one whose main is at it.
fn repositories() -> (TempDir, Git, BareForge, String) {
    let folder = tempfile::tempdir().unwrap();
    let (work, bare) = (folder.path().join("work"), folder.path().join("forge.git"));
    fs::create_dir(&work).unwrap();
    git(&work, &["init", "--quiet", "--initial-branch=main"]);
    fs::create_dir_all(work.join("deep/er")).unwrap();
    fs::write(work.join("a.txt"), "one\ntwo\nthree\n").unwrap();
    fs::write(work.join("deep/er/b.txt"), "b").unwrap();
    fs::write(work.join("run.sh"), "#!/bin/sh\n").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["update-index", "--chmod=+x", "run.sh"]);
    git(&work, &["commit", "--quiet", "-m", "first"]);
    git(folder.path(), &["clone", "--quiet", "--bare", "work", "forge.git"]);
    let opened = Git::open(&work).unwrap();
    let head = opened.head().unwrap().unwrap();
    (folder, opened, BareForge::open(&bare).unwrap(), head)
}

fn change(path: &str, content: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    [(path.to_owned(), Some(content.as_bytes().to_vec()))].into()
}

/// Commits, pushes and opens a pull request on the bare repository.
fn propose(folder: &TempDir, repository: &Git, forge: &BareForge, base: &str, file: (&str, &str), branch: &str) -> u64 {
    let commit = repository.commit(Some(base), &change(file.0, file.1), "change").unwrap();
    repository.push(&folder.path().join("forge.git").display().to_string(), &commit, branch).unwrap();
    let request = PullRequest { branch: branch.to_owned(), title: "Change".to_owned(), body: "why".to_owned() };
    forge.open_pull_request(&request).unwrap().number
}

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
    assert_eq!(repository.read_all(&commit, "new").unwrap()["new/very/deep/ü file.txt"], b"new");
    assert_eq!(repository.last_commit_of(&commit, "new/very/deep/ü file.txt").unwrap(), Some(commit.clone()));
    assert_eq!(repository.last_commit_of(&commit, "a.txt").unwrap(), Some(head.clone()));
    assert!(!repository.is_clean(&["a.txt"]).unwrap() && repository.is_clean(&["deep/er/b.txt"]).unwrap());
    // nothing to change is no commit
    assert_eq!(repository.commit(Some(&commit), &BTreeMap::new(), "nothing").unwrap(), commit);
}

#[test]
fn a_path_stays_in_the_tree() {
    let (_folder, repository, _, head) = repositories();
    for path in ["../up", "/etc/passwd", "a//b", ".git/config", "x/.GIT/hooks/y", "", "a/./b"] {
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
    let read = repository.read_all(&commit, "many").unwrap();
    assert_eq!(read.len(), 1000);
    assert!(files.iter().all(|(path, content)| Some(&read[path]) == content.as_ref()));
    assert!(repository.read_all(&commit, "nothing").unwrap().is_empty());
}

#[test]
fn a_pull_request_is_opened_once_and_merged_once() {
    let (folder, repository, forge, head) = repositories();
    let first = propose(&folder, &repository, &forge, &head, ("x.txt", "x"), "slipway/x");
    let again = PullRequest { branch: "slipway/x".to_owned(), title: "Again".to_owned(), body: String::new() };
    assert_eq!(forge.open_pull_request(&again).unwrap().number, first);
    let second = propose(&folder, &repository, &forge, &head, ("y.txt", "y"), "slipway/y");
    assert_eq!((first, second), (1, 2));

    let merged = forge.merge(first).unwrap();
    forge.merge(second).unwrap();
    let remote = folder.path().join("forge.git").display().to_string();
    let main = repository.fetch(&remote, "main").unwrap();
    let files: Vec<_> =
        git(&folder.path().join("forge.git"), &["ls-tree", "--name-only", &main]).lines().map(str::to_owned).collect();
    assert!(files.contains(&"x.txt".to_owned()) && files.contains(&"y.txt".to_owned()), "{files:?}");
    let message = git(&folder.path().join("forge.git"), &["log", "-1", "--format=%s|%P", &merged]);
    assert!(
        message.starts_with("Merge pull request #1 from slipway/x|")
            && message.ends_with(|c: char| c.is_ascii_hexdigit())
    );
    assert!(forge.list().unwrap().iter().all(|one| one.state == PullRequestState::Merged));
    assert!(matches!(forge.merge(first), Err(Error::NotOpen { number: 1, .. })));
    assert!(matches!(forge.merge(9), Err(Error::NoPullRequest(9))));
}

#[test]
fn a_conflict_names_its_files_and_changes_nothing() {
    let (folder, repository, forge, head) = repositories();
    let first = propose(&folder, &repository, &forge, &head, ("a.txt", "one\n2\nthree\n"), "slipway/x");
    let second = propose(&folder, &repository, &forge, &head, ("a.txt", "one\nZWEI\nthree\n"), "slipway/y");
    let main = forge.merge(first).unwrap();
    let refused = forge.merge(second).unwrap_err();
    assert!(matches!(&refused, Error::Conflict { number: 2, files } if files == "a.txt"), "{refused}");
    let remote = folder.path().join("forge.git").display().to_string();
    assert_eq!(repository.fetch(&remote, "main").unwrap(), main);
}

#[test]
fn numbers_are_never_shared() {
    let (folder, repository, forge, head) = repositories();
    let mut numbers: Vec<u64> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|n| {
                let (folder, repository, forge, head) = (&folder, &repository, &forge, &head);
                scope.spawn(move || {
                    let (file, branch) = (format!("{n}.txt"), format!("slipway/{n}"));
                    propose(folder, repository, forge, head, (&file, "x"), &branch)
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
}

#[test]
fn errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = Git::open(folder.path()).unwrap_err().to_string();
    assert!(nowhere.contains("git init"), "{nowhere}");
    let (_kept, repository, _, _) = repositories();
    let missing = repository.fetch(&_kept.path().join("forge.git").display().to_string(), "develop").unwrap_err();
    assert!(matches!(missing, Error::NoBranch { .. }), "{missing}");
    assert!(matches!(repository.fetch("/nowhere/at/all", "main"), Err(Error::Git { .. })));
    assert!(matches!(forge_of("https://forge.example.org/a/b"), Err(Error::UnknownForge(_))));
    assert_eq!(repository.resolve("no-such-thing").unwrap(), None);
    assert_eq!(repository.resolve("--help").unwrap(), None);
    assert_eq!(repository.remote_url("origin").unwrap(), None);
}
