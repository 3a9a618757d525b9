//! Fetching, pushing, and what is told when that fails.

use std::fs;

use slipway_forge::{Error, Git, forge_of};

use crate::{change, git, repositories};

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

#[test]
fn a_fetch_moves_no_branch() {
    let (folder, repository, _, head) = repositories();
    let (work, bare) = (folder.path().join("work"), folder.path().join("forge.git"));
    // even where the configuration says that every ref mirrors the remote's
    git(&work, &["remote", "add", "origin", &bare.display().to_string()]);
    git(&work, &["config", "remote.origin.fetch", "+refs/*:refs/*"]);
    assert_eq!(repository.remote_url("origin").unwrap(), Some(bare.display().to_string()));
    let before = git(&work, &["for-each-ref"]);
    let commit = repository.commit(Some(&head), &change("x.txt", "x"), "change").unwrap();
    repository.push(&bare.display().to_string(), &commit, "main").unwrap();
    assert_eq!(repository.fetch("origin", "main").unwrap(), commit);
    assert_eq!(repository.fetch(&format!("file://{}", bare.display()), "main").unwrap(), commit);
    assert_eq!(git(&work, &["for-each-ref"]), before);
    assert!(!work.join(".git/FETCH_HEAD").exists());
}

#[test]
fn a_push_overwrites_nothing() {
    let (folder, repository, _, head) = repositories();
    let bare = folder.path().join("forge.git").display().to_string();
    let [one, other] = ["1", "2"].map(|text| repository.commit(Some(&head), &change("x", text), text).unwrap());
    repository.push(&bare, &one, "slipway/x").unwrap();
    repository.push(&bare, &one, "slipway/x").unwrap();
    let refused = repository.push(&bare, &other, "slipway/x").unwrap_err();
    let Error::Git { command, stderr, advice } = &refused else { panic!("{refused}") };
    assert!(command.starts_with("push ") && stderr.contains("[rejected]"), "{refused}");
    assert!(advice.contains("other commits"), "{refused}");
    assert_eq!(repository.fetch(&bare, "slipway/x").unwrap(), one);
}

#[test]
fn a_hook_that_refuses_is_heard() {
    use std::os::unix::fs::PermissionsExt;

    let (folder, repository, _, head) = repositories();
    let hook = folder.path().join("work/.git/hooks/pre-push");
    fs::write(&hook, "#!/bin/sh\necho 'not on a Friday' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let bare = folder.path().join("forge.git").display().to_string();
    let refused = repository.push(&bare, &head, "slipway/x").unwrap_err().to_string();
    assert!(refused.contains("not on a Friday"), "{refused}");
}

#[test]
fn a_password_is_never_shown() {
    let (_folder, repository, _, _) = repositories();
    let url = "https://user:hunter2@127.0.0.1:1/a/b.git";
    let fetched = repository.fetch(url, "main").unwrap_err();
    let unknown = forge_of("https://user:hunter2@forge.example.org/a/b/c").unwrap_err();
    for error in [fetched.to_string(), unknown.to_string(), format!("{fetched:?}")] {
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert!(unknown.to_string().contains("git push"), "{unknown}");
}
