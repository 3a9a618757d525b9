//! Fetching, pushing, and what is told when that fails.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};
use slipway_git::{Error, Repository};

use crate::{alone, change, git, repositories};

#[test]
fn errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = Repository::open(folder.path()).unwrap_err().to_string();
    assert!(nowhere.contains("git init"), "{nowhere}");
    let (_folder, repository, bare, _) = repositories();
    let missing = repository.fetch(&bare.display().to_string(), "develop").unwrap_err();
    assert!(matches!(missing, Error::NoBranch { .. }), "{missing}");
    assert!(matches!(repository.fetch("/nowhere/at/all", "main"), Err(Error::Git { .. })));
    assert_eq!(repository.resolve("no-such-thing").unwrap(), None);
    assert_eq!(repository.resolve("--help").unwrap(), None);
    // a tree is not a commit, and one digit is none or many
    assert_eq!(repository.resolve("HEAD^{tree}").unwrap(), None);
    assert!(matches!(repository.files("HEAD:deep", &[]), Err(Error::NoRevision(_))));
    assert_eq!(repository.remote_url("origin").unwrap(), None);
}

#[test]
fn a_fetch_moves_no_branch() {
    let (folder, repository, bare, head) = repositories();
    let work = folder.path().join("work");
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
    let (_folder, repository, bare, head) = repositories();
    let bare = bare.display().to_string();
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

    let (folder, repository, bare, head) = repositories();
    let hook = folder.path().join("work/.git/hooks/pre-push");
    fs::write(&hook, "#!/bin/sh\necho 'not on a Friday' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = repository.push(&bare.display().to_string(), &head, "slipway/x").unwrap_err().to_string();
    assert!(refused.contains("not on a Friday"), "{refused}");
}

#[test]
fn a_password_is_never_shown() {
    let (_folder, repository, _, _) = repositories();
    let url = "https://user:hunter2@127.0.0.1:1/a/b.git";
    let fetched = repository.fetch(url, "main").unwrap_err();
    for text in [fetched.to_string(), format!("{fetched:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_remote_that_hangs_is_given_up_with_all_that_git_started() {
    alone("remotes::a_remote_that_hangs_is_given_up_with_all_that_git_started", &[], || {
        let (folder, repository, _, _) = repositories();
        let (marker, silent) = (folder.path().join("pid"), TcpListener::bind("127.0.0.1:0").unwrap());
        // a transport helper that starts another process, which waits for a server that never says a word
        let script = folder.path().join("hang");
        fs::write(&script, format!("sleep 1000 &\necho $! >'{}'\nwait\n", marker.display())).unwrap();
        let helper = format!("ext::sh {}", script.display());
        git(&folder.path().join("work"), &["config", "protocol.ext.allow", "always"]);
        let repository = repository.with_limit(Duration::from_secs(1));
        for remote in [helper.as_str(), &format!("git://{}/x", silent.local_addr().unwrap())] {
            let begun = Instant::now();
            let refused = repository.fetch(remote, "main").unwrap_err();
            assert!(matches!(refused, Error::TimedOut { seconds: 1, .. }), "{refused}");
            assert!(refused.to_string().contains("did not end within 1 s") && refused.is_unavailable(), "{refused}");
            assert!(begun.elapsed() < Duration::from_secs(20));
        }
        let pid = fs::read_to_string(marker).unwrap().trim().parse().ok().and_then(Pid::from_raw).unwrap();
        let begun = Instant::now();
        while test_kill_process(pid).is_ok() && !is_zombie(pid) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{pid:?} outlives git");
            std::thread::yield_now();
        }
    });
}

/// Ended, but nobody has asked how: the parent is gone, and this machine's first process may not be interested.
fn is_zombie(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    status.contains("State:\tZ")
}
