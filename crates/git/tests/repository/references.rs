//! Moving references by compare-and-swap.

use std::fs;

use slipway_git::{Repository, Update};

use crate::{change, git, repositories};

#[test]
fn references_move_together_or_not_at_all() {
    let (_folder, repository, bare, head) = repositories();
    let forge = Repository::open(&bare).unwrap();
    let commit = repository.commit(Some(&head), &change("x", "x"), "change").unwrap();
    repository.push(&bare.display().to_string(), &commit, "slipway/x").unwrap();
    let blob = forge.write_blob(b"record").unwrap();
    let (main, record) = ("refs/heads/main", "refs/slipway/pull/1");
    let update = |name, to, from| Update { name, to, from };

    // one of them is not what it should be
    assert!(!forge.update(&[update(record, &blob, None), update(main, &commit, Some(&commit))]).unwrap());
    assert!(!forge.update(&[update(main, &commit, Some(&head)), update(record, &blob, Some(&blob))]).unwrap());
    assert!(!forge.update(&[update(record, &blob, None), update(main, &commit, None)]).unwrap());
    // another process is at one of them
    let lock = bare.join("refs/heads/main.lock");
    fs::write(&lock, "").unwrap();
    assert!(!forge.update(&[update(record, &blob, None), update(main, &commit, Some(&head))]).unwrap());
    fs::remove_file(lock).unwrap();
    assert_eq!(forge.reference(record).unwrap(), None);
    assert_eq!(forge.reference(main).unwrap().unwrap(), head);

    assert!(forge.update(&[update(record, &blob, None), update(main, &commit, Some(&head))]).unwrap());
    assert_eq!(git(&bare, &["cat-file", "blob", record]), "record");
    assert_eq!(git(&bare, &["rev-parse", main]), commit);
    assert_eq!(forge.references("refs/slipway/pull/").unwrap(), [(record.to_owned(), blob.clone())]);
    assert_eq!(forge.blobs(&[&blob]).unwrap(), [b"record"]);
    // packed by git, moved by us, and the other way round
    git(&bare, &["pack-refs", "--all"]);
    assert!(forge.update(&[update(main, &head, Some(&commit))]).unwrap());
    assert_eq!(git(&bare, &["rev-parse", main]), head);
    git(&bare, &["update-ref", main, &commit, &head]);
    assert_eq!(forge.reference(main).unwrap().unwrap(), commit);
    assert!(fs::read_dir(bare.join("refs/heads")).unwrap().flatten().all(|entry| !entry.path().ends_with(".lock")));
}

#[test]
fn a_reference_to_another_stays_one() {
    let (_folder, _, bare, head) = repositories();
    git(&bare, &["branch", "-m", "main", "trunk"]);
    git(&bare, &["symbolic-ref", "refs/heads/main", "refs/heads/trunk"]);
    let forge = Repository::open(&bare).unwrap();
    let commit = forge.commit(Some(&head), &change("x", "x"), "change").unwrap();
    assert!(forge.update(&[Update { name: "refs/heads/main", to: &commit, from: Some(&head) }]).unwrap());
    assert_eq!(git(&bare, &["symbolic-ref", "refs/heads/main"]), "refs/heads/trunk");
    assert_eq!(git(&bare, &["rev-parse", "refs/heads/trunk"]), commit);
}

#[test]
fn of_many_that_move_one_reference_one_succeeds() {
    let (_folder, _, bare, head) = repositories();
    let forge = Repository::open(&bare).unwrap();
    let commits: Vec<String> =
        (0..8).map(|n| forge.commit(Some(&head), &change("x", &n.to_string()), "change").unwrap()).collect();
    let moved: usize = std::thread::scope(|scope| {
        let moves: Vec<_> = commits
            .iter()
            .map(|to| {
                let update = Update { name: "refs/heads/main", to, from: Some(&head) };
                let forge = &forge;
                scope.spawn(move || forge.update(&[update]).unwrap())
            })
            .collect();
        moves.into_iter().map(|one| usize::from(one.join().unwrap())).sum()
    });
    assert_eq!(moved, 1);
    assert!(commits.contains(&forge.reference("refs/heads/main").unwrap().unwrap()));
}
