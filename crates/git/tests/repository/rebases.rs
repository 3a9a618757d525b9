//! Commits that are made again on top of another one.

use std::fs;
use std::path::Path;
use std::process::Command;

use slipway_git::{Rebase, Repository};

use crate::{change, git, repositories};

/// A commit by somebody else, as `git commit --author` makes it, on top of another one.
fn by_another(work: &Path, base: &str, file: (&str, &str), message: &str) -> String {
    let repository = Repository::open(work).unwrap();
    let commit = repository.commit(Some(base), &change(file.0, file.1), "x").unwrap();
    let tree = git(work, &["rev-parse", &format!("{commit}^{{tree}}")]);
    let mut git = Command::new("git");
    git.current_dir(work).args(["commit-tree", &tree, "-p", base, "-m", message]);
    git.env("GIT_AUTHOR_NAME", "Ünal").env("GIT_AUTHOR_EMAIL", "u@example.org");
    git.env("GIT_AUTHOR_DATE", "@1000000000 +0530").env("GIT_COMMITTER_NAME", "C").env("GIT_COMMITTER_EMAIL", "c@x");
    String::from_utf8(git.output().unwrap().stdout).unwrap().trim().to_owned()
}

fn commit(rebase: Rebase) -> String {
    match rebase {
        Rebase::Commit(commit) => commit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_commit_keeps_its_author_and_message() {
    let (folder, repository, _, head) = repositories();
    let work = folder.path().join("work");
    let one = by_another(&work, &head, ("x", "1"), "one\n\nwhy");
    let two = by_another(&work, &one, ("run.sh", "#!/bin/sh\nexit\n"), "two");
    let main = repository.commit(Some(&head), &change("y", "y"), "meanwhile").unwrap();
    let before = git(&work, &["for-each-ref"]) + &git(&work, &["status", "--porcelain"]);

    let made = commit(repository.rebase(&main, &two).unwrap());
    let log =
        git(&work, &["log", "--reverse", "--format=%an %ae %ad %s %b|", "--date=raw", &format!("{main}..{made}")]);
    let expected = "Ünal u@example.org 1000000000 +0530 one why\n|\nÜnal u@example.org 1000000000 +0530 two |";
    assert_eq!(log, expected);
    assert!(!git(&work, &["log", "-1", "--format=%cn", &made]).contains("Ünal"));
    assert_eq!(git(&work, &["rev-list", "--count", &format!("{main}..{made}")]), "2");
    let files = git(&work, &["ls-tree", "-r", "--format=%(objectmode) %(path)", &made]);
    assert_eq!(files, "100644 a.txt\n100644 deep/er/b.txt\n100755 run.sh\n100644 x\n100644 y");
    assert_eq!(git(&work, &["for-each-ref"]) + &git(&work, &["status", "--porcelain"]), before);
    git(&work, &["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn merges_and_changes_that_are_there_already_are_left_out() {
    let (folder, repository, _, head) = repositories();
    let work = folder.path().join("work");
    let same = repository.commit(Some(&head), &change("x", "1"), "the same change").unwrap();
    let main = repository.commit(Some(&same), &change("y", "y"), "meanwhile").unwrap();
    let one = by_another(&work, &head, ("x", "1"), "one");
    let tree = git(&work, &["rev-parse", &format!("{main}^{{tree}}")]);
    let merged = repository.commit_tree(&tree, &[&one, &main], "update the branch").unwrap();
    let two = by_another(&work, &merged, ("z", "z"), "two");
    let made = commit(repository.rebase(&main, &two).unwrap());
    assert_eq!(git(&work, &["log", "--format=%s", &format!("{main}..{made}")]), "two");
    // nothing is left to make again
    assert_eq!(commit(repository.rebase(&main, &one).unwrap()), main);
    assert_eq!(commit(repository.rebase(&main, &head).unwrap()), main);
}

#[test]
fn a_conflict_names_its_files() {
    let (folder, repository, _, head) = repositories();
    let work = folder.path().join("work");
    let main = repository.commit(Some(&head), &change("a.txt", "one\n2\nthree\n"), "meanwhile").unwrap();
    let fine = by_another(&work, &head, ("x", "1"), "fine");
    let not = by_another(&work, &fine, ("a.txt", "one\nZWEI\nthree\n"), "not");
    assert_eq!(repository.rebase(&main, &not).unwrap(), Rebase::Conflict(vec!["a.txt".to_owned()]));
    let other = repository.commit(None, &change("x", "x"), "another first").unwrap();
    assert_eq!(repository.rebase(&main, &other).unwrap(), Rebase::Unrelated);
}

#[test]
fn the_new_commits_are_signed() {
    let (folder, repository, _, head) = repositories();
    let (work, key) = (folder.path().join("work"), folder.path().join("key").display().to_string());
    let one = by_another(&work, &head, ("x", "1"), "one");
    let two = by_another(&work, &one, ("x", "2"), "two");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).status().unwrap();
    assert!(made.success());
    let allowed = folder.path().join("allowed");
    let public = fs::read_to_string(format!("{key}.pub")).unwrap();
    fs::write(&allowed, format!("ann@example.org {public}")).unwrap();
    let allowed = allowed.display().to_string();
    for (name, value) in [
        ("user.name", "Ann"),
        ("user.email", "ann@example.org"),
        ("commit.gpgsign", "true"),
        ("gpg.format", "ssh"),
        ("user.signingkey", &key),
        ("gpg.ssh.allowedSignersFile", &allowed),
    ] {
        git(&work, &["config", name, value]);
    }
    let main = repository.commit(Some(&head), &change("y", "y"), "meanwhile").unwrap();
    let made = commit(repository.rebase(&main, &two).unwrap());
    for commit in [made.clone(), format!("{made}^")] {
        git(&work, &["verify-commit", &commit]);
        assert_eq!(git(&work, &["log", "-1", "--format=%an %cn", &commit]), "Ünal Ann");
    }
}
