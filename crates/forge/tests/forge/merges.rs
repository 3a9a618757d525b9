//! Merging by each method, and closing, on a bare repository.

use slipway_forge::{BareForge, Error, MergeMethod, PullRequest, PullRequestState};
use slipway_git::Repository;

use crate::{change, git, propose, repositories};

#[test]
fn a_squash_is_one_commit_and_a_rebase_makes_each_again() {
    let (folder, repository, forge, head) = repositories();
    let bare = folder.path().join("forge.git");
    let remote = bare.display().to_string();
    let mut heads = Vec::new();
    for (number, branch) in ["slipway/squash", "slipway/rebase"].into_iter().enumerate() {
        propose(&folder, &repository, &forge, &head, (&format!("{number}.txt"), "1"), branch);
        // the branch moves, and the pull request with it
        let first = forge.get(number as u64 + 1).unwrap().head;
        let second = repository.commit(Some(&first), &change(&format!("{number}.txt"), "2"), "more").unwrap();
        repository.push(&remote, &second, branch).unwrap();
        heads.push(second);
    }
    assert!(matches!(forge.merge_if(1, MergeMethod::Squash, &head), Err(Error::HeadMoved { number: 1, .. })));
    let squashed = forge.merge_if(1, MergeMethod::Squash, &heads[0]).unwrap();
    assert_eq!(git(&bare, &["log", "-1", "--format=%s|%P", &squashed]), format!("Change (#1)|{head}"));
    assert_eq!(git(&bare, &["show", &format!("{squashed}:0.txt")]), "2");

    let rebased = forge.merge_if(2, MergeMethod::Rebase, &heads[1]).unwrap();
    assert_eq!(git(&bare, &["log", "--format=%s", &format!("{squashed}..{rebased}")]), "more\nchange");
    assert_eq!(git(&bare, &["rev-list", "--count", "--merges", &rebased]), "0");
    assert_eq!(git(&bare, &["rev-parse", "main"]), rebased);

    for (number, commit) in [(1, &squashed), (2, &rebased)] {
        let opened = forge.get(number).unwrap();
        assert_eq!((opened.state, opened.merge_commit.as_ref()), (PullRequestState::Merged, Some(commit)));
        // what was merged stays in reach, and merging once more changes nothing
        assert_eq!(git(&bare, &["rev-parse", &format!("refs/pull/{number}/head")]), opened.head);
        assert_eq!(&forge.merge_if(number, MergeMethod::Merge, &opened.head).unwrap(), commit);
        assert!(matches!(forge.merge_if(number, MergeMethod::Merge, &head), Err(Error::NotOpen { .. })));
        assert_eq!(forge.pull_request_of(commit, &[]).unwrap().unwrap().number, number);
    }
    git(&bare, &["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn a_rebase_in_conflict_changes_nothing() {
    let (folder, repository, forge, head) = repositories();
    let first = propose(&folder, &repository, &forge, &head, ("a.txt", "one\n2\nthree\n"), "slipway/x");
    let second = propose(&folder, &repository, &forge, &head, ("a.txt", "one\nZWEI\nthree\n"), "slipway/y");
    let main = forge.merge(first).unwrap();
    let head = forge.get(second).unwrap().head;
    let refused = forge.merge_if(second, MergeMethod::Rebase, &head).unwrap_err();
    assert!(matches!(&refused, Error::Conflict { files, .. } if files == "a.txt"), "{refused}");
    assert_eq!(git(&folder.path().join("forge.git"), &["rev-parse", "main"]), main);
    assert!(forge.get(second).unwrap().is_open());
}

#[test]
fn a_draft_is_not_merged_and_labels_add_up() {
    let (folder, repository, forge, head) = repositories();
    let commit = repository.commit(Some(&head), &change("x.txt", "x"), "change").unwrap();
    repository.push(&folder.path().join("forge.git").display().to_string(), &commit, "slipway/x").unwrap();
    let request = |labels: &[&str]| PullRequest {
        branch: "slipway/x".to_owned(),
        base: "main".to_owned(),
        title: "X".to_owned(),
        draft: true,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..PullRequest::default()
    };
    let opened = forge.open_pull_request(&request(&["training"])).unwrap();
    assert_eq!((opened.is_draft, opened.labels.as_slice()), (true, &["training".to_owned()][..]));
    let again = forge.open_pull_request(&request(&["gpu", "training"])).unwrap();
    assert_eq!((again.number, again.labels.as_slice()), (1, &["training".to_owned(), "gpu".to_owned()][..]));
    let refused = forge.merge_if(1, MergeMethod::Merge, &commit).unwrap_err();
    assert!(matches!(refused, Error::NotMergeable { number: 1, .. }), "{refused}");
}

/// Moves a branch to a new commit on top of it.
fn push(forge: &BareForge, repository: &Repository, number: u64, file: &str) -> String {
    let opened = forge.get(number).unwrap();
    let commit = repository.commit(Some(&opened.head), &change(file, "x"), "more").unwrap();
    repository.push(&forge.path().display().to_string(), &commit, &opened.branch).unwrap();
    commit
}

#[test]
fn what_is_closed_stays_as_it_was() {
    let (folder, repository, forge, head) = repositories();
    let number = propose(&folder, &repository, &forge, &head, ("x.txt", "x"), "slipway/x");
    let newest = push(&forge, &repository, number, "y.txt");
    assert_eq!(forge.list().unwrap()[0].head, newest);
    forge.close(number).unwrap();
    forge.close(number).unwrap();
    // the branch moves on without it
    let later = push(&forge, &repository, number, "z.txt");
    let closed = forge.get(number).unwrap();
    assert_eq!((closed.state, closed.head), (PullRequestState::Closed, newest.clone()));
    assert!(matches!(forge.merge_if(number, MergeMethod::Merge, &newest), Err(Error::NotOpen { .. })));
    // another one may be opened for it, which is one even if the branch goes
    let again = PullRequest { branch: "slipway/x".to_owned(), base: "main".to_owned(), ..PullRequest::default() };
    let again = forge.open_pull_request(&again).unwrap();
    assert_eq!((again.number, again.head.as_str()), (2, later.as_str()));
    git(&folder.path().join("forge.git"), &["branch", "-D", "slipway/x"]);
    let merged = forge.merge_if(2, MergeMethod::Merge, &later).unwrap();
    assert!(matches!(forge.close(2), Err(Error::NotOpen { .. })));
    assert!(matches!(forge.close(3), Err(Error::NoPullRequest(3))));
    assert_eq!(git(&folder.path().join("forge.git"), &["rev-parse", "main"]), merged);
}
