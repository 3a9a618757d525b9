//! Pull requests on a bare repository.

use std::fs;

use slipway_forge::{BareForge, Error, PullRequest, PullRequestState, forge_of};
use slipway_git::Error as GitError;
use tempfile::TempDir;

use crate::{change, git, propose, repositories};

#[test]
fn a_pull_request_is_opened_once_and_merged_once() {
    let (folder, repository, forge, head) = repositories();
    let first = propose(&folder, &repository, &forge, &head, ("x.txt", "x"), "slipway/x");
    let again = PullRequest {
        branch: "slipway/x".to_owned(),
        base: "main".to_owned(),
        title: "Again".to_owned(),
        body: String::new(),
        ..PullRequest::default()
    };
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
    // whoever asked at the same moment, and is later, gets no second one
    let late = forge.open_pull_request(&again).unwrap();
    assert_eq!((late.number, late.state), (first, PullRequestState::Merged));
    assert_eq!(forge.list().unwrap().len(), 2);
    // with a new commit there is something to merge
    assert_eq!(propose(&folder, &repository, &forge, &main, ("x.txt", "z"), "slipway/x"), 3);
    forge.close(3).unwrap();
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
    let remote = folder.path().join("forge.git").display().to_string();
    let at = folder.path().canonicalize().unwrap().join("forge.git").display().to_string();
    assert_eq!(
        refused.to_string(),
        format!(
            "pull request #2 conflicts with main in a.txt: if they are all rendered, `slipway render --pull-request 2` resolves it; otherwise merge \
             `main` into its branch: `git fetch {at} slipway/y`, `git switch --detach FETCH_HEAD`, \
             `git pull --no-rebase -X find-renames=100% {at} main`; decide in the files, then \
             `git add --all`, `git commit`, `git push {at} HEAD:slipway/y` and `slipway render --pull-request 2`"
        )
    );
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

/// A bare repository's path, as git is told it.
fn remote(folder: &TempDir) -> String {
    folder.path().join("forge.git").display().to_string()
}

#[test]
fn main_may_move_before_a_merge() {
    let (folder, repository, forge, head) = repositories();
    let number = propose(&folder, &repository, &forge, &head, ("a.txt", "one\ntwo\nTHREE\n"), "slipway/x");
    let moved = repository.commit(Some(&head), &change("a.txt", "ONE\ntwo\nthree\n"), "meanwhile").unwrap();
    repository.push(&remote(&folder), &moved, "main").unwrap();
    let merged = forge.merge(number).unwrap();
    assert_eq!(repository.fetch(&remote(&folder), "main").unwrap(), merged);
    assert_eq!(repository.read(&merged, "a.txt").unwrap().unwrap(), b"ONE\ntwo\nTHREE\n");
    let parents = git(&folder.path().join("forge.git"), &["log", "-1", "--format=%P", &merged]);
    assert_eq!(parents, format!("{moved} {}", forge.get(number).unwrap().head));
}

#[test]
fn merges_at_once_lose_nothing_and_merge_once() {
    let (folder, repository, forge, head) = repositories();
    let numbers: Vec<u64> = (0..4)
        .map(|n| {
            let (file, branch) = (format!("{n}.txt"), format!("slipway/{n}"));
            propose(&folder, &repository, &forge, &head, (&file, "x"), &branch)
        })
        .collect();
    // each of them twice
    let merged: usize = std::thread::scope(|scope| {
        let all: Vec<_> = numbers.iter().chain(&numbers).map(|number| scope.spawn(|| forge.merge(*number))).collect();
        let ends = all.into_iter().map(|one| one.join().unwrap());
        ends.filter(|end| match end {
            Ok(_) => true,
            Err(error) => {
                assert!(matches!(error, Error::NotOpen { .. }), "{error}");
                false
            }
        })
        .count()
    });
    assert_eq!(merged, 4);
    let main = repository.fetch(&remote(&folder), "main").unwrap();
    assert_eq!(repository.files(&main, &[]).unwrap().len(), 3 + 4);
    assert_eq!(git(&folder.path().join("forge.git"), &["rev-list", "--merges", "--count", &main]), "4");
}

#[test]
fn the_same_request_at_once_is_one_pull_request() {
    let (folder, repository, forge, head) = repositories();
    let commit = repository.commit(Some(&head), &change("x.txt", "x"), "change").unwrap();
    repository.push(&remote(&folder), &commit, "slipway/x").unwrap();
    let request = PullRequest {
        branch: "slipway/x".to_owned(),
        base: "main".to_owned(),
        title: "X".to_owned(),
        body: String::new(),
        ..PullRequest::default()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(|| forge.open_pull_request(&request).unwrap().number)).collect();
        assert!(all.into_iter().all(|one| one.join().unwrap() == 1));
    });
    assert_eq!(forge.list().unwrap(), [forge.get(1).unwrap()]);
}

#[test]
fn a_conflict_names_a_file_as_it_is() {
    let (folder, repository, forge, head) = repositories();
    let name = "ü and space.txt";
    let first = propose(&folder, &repository, &forge, &head, (name, "1"), "slipway/x");
    let second = propose(&folder, &repository, &forge, &head, (name, "2"), "slipway/y");
    forge.merge(first).unwrap();
    assert!(matches!(forge.merge(second), Err(Error::Conflict { files, .. }) if files == name));
    assert!(forge.get(second).unwrap().is_open());
}

#[test]
fn the_first_pull_request_of_an_empty_repository_becomes_main() {
    let (folder, repository, _, head) = repositories();
    let empty = folder.path().join("empty.git");
    git(folder.path(), &["init", "--quiet", "--bare", "empty.git"]);
    let forge = BareForge::open(&empty).unwrap();
    let request = PullRequest {
        branch: "slipway/x".to_owned(),
        base: "main".to_owned(),
        title: "X".to_owned(),
        body: String::new(),
        ..PullRequest::default()
    };
    assert!(matches!(forge.open_pull_request(&request), Err(Error::Git(GitError::NoBranch { .. }))));
    repository.push(&empty.display().to_string(), &head, "slipway/x").unwrap();
    let number = forge.open_pull_request(&request).unwrap().number;
    assert_eq!(forge.merge(number).unwrap(), head);
    assert_eq!(repository.fetch(&empty.display().to_string(), "main").unwrap(), head);
}

#[test]
fn a_lock_left_behind_is_told_and_a_number_without_a_head_stays_taken() {
    let (folder, repository, forge, head) = repositories();
    let bare = folder.path().join("forge.git");
    let first = propose(&folder, &repository, &forge, &head, ("x.txt", "x"), "slipway/x");
    git(&bare, &["update-ref", "-d", "refs/pull/1/head"]);
    assert!(forge.list().unwrap().is_empty());
    assert!(matches!(forge.get(first), Err(Error::Malformed { number: 1, .. })));
    assert_eq!(propose(&folder, &repository, &forge, &head, ("y.txt", "y"), "slipway/y"), 2);
    // a reference that no pull request has made
    git(&bare, &["update-ref", "refs/pull/7/head", "refs/heads/main"]);
    assert_eq!(propose(&folder, &repository, &forge, &head, ("z.txt", "z"), "slipway/z"), 8);
    // another process crashed in between
    fs::write(bare.join("refs/heads/main.lock"), "").unwrap();
    let busy = forge.merge(2).unwrap_err().to_string();
    assert!(busy.contains("try again"), "{busy}");
    fs::remove_file(bare.join("refs/heads/main.lock")).unwrap();
    forge.merge(2).unwrap();
}

#[test]
fn a_forge_is_a_bare_repository_itself() {
    let (folder, ..) = repositories();
    let bare = folder.path().join("forge.git");
    for not_bare in [folder.path().join("work"), folder.path().join("work/deep"), bare.join("refs")] {
        let refused = BareForge::open(&not_bare).unwrap_err();
        assert!(matches!(refused, Error::NotBare(_)), "{refused}");
    }
    fs::create_dir(folder.path().join("a b")).unwrap();
    git(folder.path(), &["clone", "--quiet", "--bare", "work", "a b/forge.git"]);
    let url = format!("file://{}/a%20b/forge.git", folder.path().display());
    for url in [bare.display().to_string(), url] {
        assert!(forge_of(&url).unwrap().describe().starts_with("the bare repository /"), "{url}");
    }
}

#[test]
fn a_forge_that_is_not_known_is_said_without_its_password() {
    assert!(matches!(forge_of("https://forge.example.org/a/b"), Err(Error::UnknownForge(_))));
    let unknown = forge_of("https://user:hunter2@forge.example.org/a/b/c").unwrap_err().to_string();
    assert!(!unknown.contains("hunter2") && unknown.contains("git push"), "{unknown}");
}

#[test]
fn commits_without_a_common_history_are_not_merged() {
    let (folder, repository, forge, head) = repositories();
    repository.push(&remote(&folder), &head, "trunk").unwrap();
    let commit = repository.commit(None, &change("x.txt", "x"), "another first").unwrap();
    repository.push(&remote(&folder), &commit, "slipway/x").unwrap();
    let request = PullRequest {
        branch: "slipway/x".to_owned(),
        base: "trunk".to_owned(),
        title: "X".to_owned(),
        body: String::new(),
        ..PullRequest::default()
    };
    let number = forge.open_pull_request(&request).unwrap().number;
    assert_eq!(
        forge.merge(number).unwrap_err().to_string(),
        "pull request #1 shares no history with trunk: propose it again, on the current trunk"
    );
    assert!(forge.get(number).unwrap().is_open());
}

#[test]
fn a_rename_on_one_side_follows_a_change_on_the_other() {
    let (folder, repository, forge, head) = repositories();
    let text = b"one\ntwo\nthree\n".to_vec();
    let renamed = [("a.txt".to_owned(), None), ("b.txt".to_owned(), Some(text))].into();
    let moved = repository.commit(Some(&head), &renamed, "renamed").unwrap();
    repository.push(&remote(&folder), &moved, "main").unwrap();
    let number = propose(&folder, &repository, &forge, &head, ("a.txt", "one\ntwo\n3\n"), "slipway/x");
    let merged = forge.merge(number).unwrap();
    repository.fetch(&remote(&folder), "main").unwrap();
    assert_eq!(repository.read(&merged, "b.txt").unwrap().unwrap(), b"one\ntwo\n3\n");
    assert_eq!(repository.read(&merged, "a.txt").unwrap(), None);
    git(&folder.path().join("forge.git"), &["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn the_default_branch_is_the_one_that_head_names() {
    let (folder, repository, forge, head) = repositories();
    let bare = folder.path().join("forge.git");
    assert_eq!(forge.default_branch().unwrap(), "main");
    // one that was pushed to a repository whose HEAD has another name
    git(&bare, &["symbolic-ref", "HEAD", "refs/heads/master"]);
    assert_eq!(forge.default_branch().unwrap(), "main");
    git(&bare, &["branch", "--move", "main", "trunk"]);
    git(&bare, &["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    assert_eq!(forge.default_branch().unwrap(), "trunk");
    let commit = repository.commit(Some(&head), &change("x.txt", "x"), "change").unwrap();
    repository.push(&remote(&folder), &commit, "slipway/x").unwrap();
    let [branch, base, title, body] = ["slipway/x", "trunk", "X", ""].map(str::to_owned);
    let number =
        forge.open_pull_request(&PullRequest { branch, base, title, body, ..PullRequest::default() }).unwrap().number;
    let merged = forge.merge(number).unwrap();
    assert_eq!(repository.fetch(&remote(&folder), "trunk").unwrap(), merged);
    assert!(repository.fetch(&remote(&folder), "main").is_err(), "no second trunk");
}

#[test]
fn a_commit_of_main_leads_to_its_pull_request() {
    let (folder, repository, forge, head) = repositories();
    let bare = folder.path().join("forge.git");
    let blob = |text: &str| slipway_git::blob_id(text.as_bytes());
    let first = propose(&folder, &repository, &forge, &head, ("x.txt", "x"), "slipway/x");
    let merged = forge.merge(first).unwrap();
    let found = |commit: &str, path: &str, text: &str| {
        forge.pull_request_of(commit, &[(path, &blob(text))]).unwrap().map(|opened| opened.number)
    };
    assert_eq!(found(&merged, "x.txt", "x"), Some(first));
    assert_eq!(found(&head, "a.txt", "one\ntwo\nthree\n"), None, "every pull request holds what main began with");

    repository.fetch(&remote(&folder), "main").unwrap();
    // the same content proposed twice, merged by other means: the message tells which
    for branch in ["slipway/y", "slipway/y-2"] {
        propose(&folder, &repository, &forge, &merged, ("y.txt", "y"), branch);
    }
    let squash = |message: &str| {
        let tree = git(&bare, &["rev-parse", "refs/pull/2/head^{tree}"]);
        git(&bare, &["commit-tree", &tree, "-p", &merged, "-m", message])
    };
    assert_eq!(found(&squash("Y (#3)"), "y.txt", "y"), Some(3));
    assert_eq!(found(&squash("Y"), "y.txt", "y"), None, "nothing tells");
    // a number that does not fit is not believed
    assert_eq!(found(&squash("Y (#1)"), "y.txt", "y"), None);
    propose(&folder, &repository, &forge, &merged, ("z.txt", "z"), "slipway/z");
    assert_eq!(found(&squash("Z"), "z.txt", "z"), Some(4));
}
