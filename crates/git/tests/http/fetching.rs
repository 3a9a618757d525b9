//! What is fetched, and what that costs.

use std::fs;

use slipway_git::{Error, HttpRemote, Repository};
use slipway_repositories::git;

use crate::server::Way;
use crate::{MAIN, Served, commit};

#[tokio::test]
async fn a_branch_and_a_pull_request_come_with_everything_they_refer_to() {
    let served = Served::new().await;
    let head = served.push(&[("c.txt", b"c")], "refs/pull/7/head");
    let fetched = served.remote().fetch(&served.mirror, &[MAIN, "refs/pull/7/head"]).await.unwrap();
    assert_eq!(fetched, [Some(served.origin.head.clone()), Some(head.clone())]);
    assert_eq!(served.check(), format!("{MAIN} {}\nrefs/pull/7/head {head}", served.origin.head));
    assert_eq!(served.mirror.read(&head, "c.txt").unwrap().as_deref(), Some(&b"c"[..]));
    assert_eq!(served.mirror.read(MAIN, "deep/er/b.txt").unwrap().as_deref(), Some(&b"b"[..]));
    assert!(served.mirror.executables(MAIN, &[]).unwrap().contains("run.sh"));
    assert_eq!(served.leftovers(), [""; 0]);
}

#[tokio::test]
async fn nothing_new_costs_one_small_request() {
    let served = Served::new().await;
    let remote = served.remote();
    remote.fetch(&served.mirror, &[MAIN]).await.unwrap();
    assert_eq!(served.server.asked().len(), 3, "what it can do, its references, a pack");
    for remote in [remote.clone(), remote] {
        assert_eq!(remote.fetch(&served.mirror, &[MAIN]).await.unwrap(), [Some(served.origin.head.clone())]);
        let [asked] = served.server.asked().try_into().unwrap();
        assert!(asked.line.starts_with("POST ") && asked.body.len() < 150 && asked.answered < 100, "{asked:?}");
    }
}

#[tokio::test]
async fn only_what_is_new_is_sent() {
    let served = Served::new().await;
    let remote = served.remote();
    // bytes that do not become fewer
    let mut random = fastrand::Rng::with_seed(7);
    let large: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(3 << 20).collect();
    served.push(&[("large.bin", &large)], "main");
    remote.fetch(&served.mirror, &[MAIN]).await.unwrap();
    let first: usize = served.server.asked().iter().map(|asked| asked.answered).sum();
    assert!(first > 3 << 20);
    for number in 0..5 {
        let text = format!("{number}\n");
        let head = served.push(&[("a.txt", text.as_bytes())], "main");
        assert_eq!(remote.fetch(&served.mirror, &[MAIN]).await.unwrap(), [Some(head.clone())]);
        let asked = served.server.asked();
        assert_eq!(asked.len(), 2);
        assert!(asked.iter().map(|asked| asked.answered).sum::<usize>() < 2_000, "{asked:?}");
        assert_eq!(served.mirror.read(&head, "a.txt").unwrap(), Some(text.into_bytes()));
    }
    assert!(served.check().starts_with(MAIN));
}

#[tokio::test]
async fn a_branch_that_was_forced_elsewhere_is_followed() {
    let served = Served::new().await;
    let remote = served.remote();
    let old = served.push(&[("old.txt", b"old")], "main");
    remote.fetch(&served.mirror, &[MAIN]).await.unwrap();
    git(&served.origin.work, &["reset", "--quiet", "--hard", &served.origin.head]);
    let new = served.push(&[("new.txt", b"new")], "main");
    // the server forgets the old commit
    git(&served.origin.bare, &["reflog", "expire", "--expire=now", "--all"]);
    git(&served.origin.bare, &["gc", "--quiet", "--prune=now"]);
    assert_eq!(remote.fetch(&served.mirror, &[MAIN]).await.unwrap(), [Some(new.clone())]);
    assert_eq!(served.check(), format!("{MAIN} {new}"));
    // back again
    git(&served.origin.work, &["push", "--quiet", "--force", "../forge.git", &format!("{old}:main")]);
    assert_eq!(remote.fetch(&served.mirror, &[MAIN]).await.unwrap(), [Some(old.clone())]);
    assert_eq!(served.check(), format!("{MAIN} {old}"));
}

#[tokio::test]
async fn what_is_gone_there_is_gone_here() {
    let served = Served::new().await;
    let remote = served.remote();
    let head = served.push(&[("x", b"x")], "refs/heads/a");
    assert_eq!(remote.fetch(&served.mirror, &["refs/heads/a", "refs/heads/b"]).await.unwrap(), [Some(head), None]);
    // a branch takes the place of a folder of branches, and the other way round
    git(&served.origin.bare, &["update-ref", "-d", "refs/heads/a"]);
    let inside = served.push(&[("y", b"y")], "refs/heads/a/b");
    assert_eq!(remote.fetch(&served.mirror, &["refs/heads/a/b"]).await.unwrap(), [Some(inside.clone())]);
    assert_eq!(served.check(), format!("refs/heads/a/b {inside}"));
    git(&served.origin.bare, &["update-ref", "-d", "refs/heads/a/b"]);
    let outside = served.push(&[("z", b"z")], "refs/heads/a");
    assert_eq!(remote.fetch(&served.mirror, &["refs/heads/a"]).await.unwrap(), [Some(outside.clone())]);
    assert_eq!(served.check(), format!("refs/heads/a {outside}"));
    git(&served.origin.bare, &["update-ref", "-d", "refs/heads/a"]);
    assert_eq!(remote.fetch(&served.mirror, &["refs/heads/a", MAIN]).await.unwrap()[0], None);
    assert_eq!(served.check(), format!("{MAIN} {}", served.origin.head));
}

#[tokio::test]
async fn many_fetches_at_once_bring_one_pack() {
    let served = Served::new().await;
    let remote = served.remote();
    let fetches = (0..20).map(|_| remote.fetch(&served.mirror, &[MAIN, MAIN]));
    for fetched in futures::future::join_all(fetches).await {
        assert_eq!(fetched.unwrap(), [Some(served.origin.head.clone()), Some(served.origin.head.clone())]);
    }
    let packs =
        served.server.asked().iter().filter(|asked| asked.answered > 200 && asked.line.starts_with("POST")).count();
    assert_eq!(packs, 1);
    served.check();
}

#[tokio::test]
async fn two_processes_and_pushes_at_once_leave_a_whole_mirror() {
    let served = Served::new().await;
    let remotes = [served.remote(), served.remote(), served.remote()];
    let mut head = String::new();
    for number in 0..10 {
        head = served.push(&[("n.txt", format!("{number}").as_bytes())], "main");
        for fetched in futures::future::join_all(remotes.iter().map(|one| one.fetch(&served.mirror, &[MAIN]))).await {
            fetched.unwrap();
        }
    }
    assert_eq!(served.check(), format!("{MAIN} {head}"));
}

#[tokio::test]
async fn many_small_packs_become_one_and_nothing_is_lost() {
    let served = Served::new().await;
    let remote = served.remote();
    let local = |base: &str, text: &str| {
        let change = [("local.txt".to_owned(), Some(text.as_bytes().to_vec()))].into();
        served.mirror.commit(Some(base), &change, "local").unwrap()
    };
    let (mut heads, mut locals) = (Vec::new(), Vec::new());
    for number in 0..55 {
        // each on its own, so that nothing but the mirror's objects holds the earlier ones
        git(&served.origin.work, &["reset", "--quiet", "--hard", &served.origin.head]);
        let head = served.push(&[("n.txt", format!("{number}").as_bytes())], "main");
        remote.fetch(&served.mirror, &[MAIN]).await.unwrap();
        locals.push(local(&head, &format!("{number}")));
        heads.push(head);
    }
    let packs = |ending: &str| {
        let all = fs::read_dir(served.mirror.root().join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.extension().is_some_and(|found| found == ending)).count()
    };
    let superseded = served.mirror.root().join("slipway-superseded");
    assert_eq!(fs::read_to_string(&superseded).unwrap().lines().count(), 50);
    assert_eq!((packs("pack"), packs("idx")), (56, 56), "who reads may still have them open");
    // a quarter of an hour later
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(20 * 60);
    fs::File::options().write(true).open(&superseded).unwrap().set_modified(then).unwrap();
    let head = served.push(&[("n.txt", b"last")], "main");
    remote.fetch(&served.mirror, &[MAIN]).await.unwrap();
    assert_eq!((packs("pack"), packs("idx")), (7, 7));
    assert!(!superseded.exists());
    assert_eq!(served.check(), format!("{MAIN} {head}"));
    for commit in heads.iter().chain(&locals) {
        assert!(served.mirror.read(commit, "n.txt").unwrap().is_some());
    }
}

#[tokio::test]
async fn a_mirror_that_lost_objects_gets_them_again() {
    let served = Served::new().await;
    let remote = served.remote();
    remote.fetch(&served.mirror, &[MAIN]).await.unwrap();
    let blob = served.mirror.blob_at(MAIN, "a.txt").unwrap().unwrap();
    for pack in fs::read_dir(served.mirror.root().join("objects/pack")).unwrap() {
        fs::remove_file(pack.unwrap().path()).unwrap();
    }
    // the branch leads to nothing now, as after a crash of the machine
    assert!(served.mirror.resolve(MAIN).unwrap().is_none());
    let head = served.push(&[("c.txt", b"c")], "main");
    assert_eq!(remote.fetch(&served.mirror, &[MAIN]).await.unwrap(), [Some(head.clone())]);
    assert_eq!(served.mirror.blobs(&[&blob]).unwrap(), [b"one\ntwo\nthree\n"]);
    assert_eq!(served.check(), format!("{MAIN} {head}"));
}

#[tokio::test]
async fn submodules_links_and_tags_are_no_obstacle() {
    let served = Served::new().await;
    let work = &served.origin.work;
    std::os::unix::fs::symlink("a.txt", work.join("link")).unwrap();
    git(work, &["add", "."]);
    git(work, &["update-index", "--add", "--cacheinfo", &format!("160000,{},module", "1".repeat(40))]);
    git(work, &["commit", "--quiet", "-m", "a submodule"]);
    git(work, &["tag", "-a", "-m", "one", "v1"]);
    git(work, &["push", "--quiet", "../forge.git", "main", "v1"]);
    let head = git(work, &["rev-parse", "HEAD"]);
    let tag = git(work, &["rev-parse", "v1"]);
    let fetched = served.remote().fetch(&served.mirror, &[MAIN, "refs/tags/v1"]).await.unwrap();
    assert_eq!(fetched, [Some(head), Some(tag)]);
    assert_eq!(served.mirror.others(MAIN, &[]).unwrap().len(), 2);
}

#[tokio::test]
async fn an_answer_may_be_compressed_and_a_long_request_is() {
    let served = Served::new().await;
    // so many references that what is here takes more than a line
    let work = &served.origin.work;
    for number in 1..40 {
        commit(work, &[("n.txt", format!("{number}").as_bytes())]);
        git(work, &["push", "--quiet", "../forge.git", &format!("HEAD:refs/pull/{number}/head")]);
    }
    let names: Vec<String> = (1..40).map(|number| format!("refs/pull/{number}/head")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    served.server.set(Way::Gzip);
    let remote = served.remote();
    assert!(remote.fetch(&served.mirror, &names).await.unwrap().iter().all(Option::is_some));
    served.server.asked();
    let head = served.push(&[("a.txt", b"new")], "main");
    assert_eq!(remote.fetch(&served.mirror, &[MAIN]).await.unwrap(), [Some(head)]);
    let asked = served.server.asked();
    let request = asked.last().unwrap();
    assert_eq!(request.headers["content-encoding"], "gzip");
    assert!(request.body.len() < 2_000 && request.body.starts_with(&[0x1f, 0x8b]));
    assert!(asked.iter().all(|asked| asked.headers["git-protocol"] == "version=2"));
    served.check();
}

#[tokio::test]
async fn a_repository_that_was_renamed_is_followed_within_its_server() {
    let served = Served::new().await;
    git(served.origin.folder.path(), &["clone", "--quiet", "--bare", "forge.git", "renamed.git"]);
    served.server.set(Way::Moved("/renamed.git".to_owned()));
    let remote = served.remote();
    for _ in 0..2 {
        assert_eq!(remote.fetch(&served.mirror, &[MAIN]).await.unwrap(), [Some(served.origin.head.clone())]);
    }
    // renamed while it is known under its old name
    let known = HttpRemote::new(&format!("{}/forge.git", served.server.url)).unwrap();
    served.server.set(Way::AsItIs);
    known.fetch(&served.mirror, &[MAIN]).await.unwrap();
    served.server.set(Way::Moved("/renamed.git".to_owned()));
    assert_eq!(known.fetch(&served.mirror, &[MAIN]).await.unwrap(), [Some(served.origin.head.clone())]);
    // another host is not asked
    let other = crate::server::Server::start(served.origin.folder.path()).await;
    served.server.set(Way::Moved(format!("{}/renamed.git", other.url)));
    let error = served.remote().fetch(&served.mirror, &[MAIN]).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 301, .. }) && error.to_string().contains("has moved"), "{error}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_repository_with_a_work_tree_is_not_a_mirror() {
    let served = Served::new().await;
    let work = Repository::open(&served.origin.work).unwrap();
    let error = served.remote().fetch(&work, &[MAIN]).await.unwrap_err();
    assert!(matches!(error, Error::NotAMirror(_)), "{error}");
    for name in ["main", "refs/heads/a b", "refs/heads/../x", "refs/heads/a\nwant x", ""] {
        let error = served.remote().fetch(&served.mirror, &[name]).await.unwrap_err();
        assert!(matches!(error, Error::NoRevision(_)), "{error}");
    }
    assert!(served.server.asked().is_empty());
}

/// The future of a fetch can go to another thread, as a task of a service does.
#[tokio::test]
async fn a_fetch_is_a_task() {
    let served = Served::new().await;
    let (remote, mirror) = (served.remote(), served.mirror.clone());
    let fetched = tokio::spawn(async move { remote.fetch(&mirror, &[MAIN]).await }).await.unwrap().unwrap();
    assert_eq!(fetched, [Some(served.origin.head.clone())]);
}
