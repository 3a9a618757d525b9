//! Servers that send anything: an error each time, and the mirror stays as it was.

use slipway_git::Error;
use slipway_repositories::git;

use crate::server::Way;
use crate::{MAIN, Served};

fn line(text: &[u8]) -> Vec<u8> {
    [format!("{:04x}", text.len() + 4).as_bytes(), text].concat()
}

/// The message of a fetch that must fail.
async fn refused(served: &Served, said: Vec<u8>) -> String {
    served.server.set(Way::Says(said.clone()));
    let error = served.remote().fetch(&served.mirror, &[MAIN]).await.unwrap_err();
    assert!(
        matches!(error, Error::Unreadable { .. } | Error::Unreachable { .. }),
        "{error} after {:?}",
        said.escape_ascii().to_string()
    );
    error.to_string()
}

#[tokio::test]
async fn references_that_are_none_are_refused() {
    let served = Served::new().await;
    let id = "1".repeat(40);
    for said in [
        "no packet".to_owned(),
        "0003".to_owned(),
        String::new(),
        String::from_utf8(line(format!("{id} {MAIN}\n").as_bytes())).unwrap(),
        format!("{}0000", String::from_utf8(line(format!("{id}\n").as_bytes())).unwrap()),
        format!("{}0000", String::from_utf8(line(format!("xyz {MAIN}\n").as_bytes())).unwrap()),
        format!("{}0000", String::from_utf8(line(format!("{} {MAIN}\n", &id[1..]).as_bytes())).unwrap()),
        format!("{}0001", String::from_utf8(line(format!("{id} {MAIN}\n").as_bytes())).unwrap()),
    ] {
        refused(&served, said.into_bytes()).await;
    }
    let error = refused(&served, [line(b"ERR access\x1b[31m denied\n"), b"0000".to_vec()].concat()).await;
    assert!(error.contains("access [31m denied"), "{error}");
    assert_eq!(served.check(), "");
}

/// Random bytes, and packets with random content, in place of an answer.
#[tokio::test]
async fn random_answers_are_errors() {
    let served = Served::new().await;
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut said = Vec::new();
        for _ in 0..random.usize(1..6) {
            let length = random.usize(..60);
            let content: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
            match random.u8(..4) {
                0 => said.extend(content),
                1 => said.extend(line(&content)),
                2 => said.extend(line(b"packfile\n")),
                _ => said.extend_from_slice([&b"0000"[..], b"0001", b"0002"][random.usize(..3)]),
            }
        }
        served.server.set(Way::Says(said));
        // nothing that was asked for may be in there
        match served.remote().fetch(&served.mirror, &[MAIN]).await {
            Ok(fetched) => assert_eq!(fetched, [None]),
            Err(error) => assert!(error.is_unavailable(), "seed {seed}: {error}"),
        }
    }
    assert_eq!(served.check(), "");
}

/// A pack with some bytes flipped, wherever they are in the answer: an error, or the very same objects.
#[tokio::test]
async fn damaged_packs_are_errors() {
    let served = Served::new().await;
    for number in 0..10 {
        served.push(&[("n.txt", format!("{number}\n").repeat(50).as_bytes())], "main");
    }
    let head = git(&served.origin.work, &["rev-parse", "HEAD"]);
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let places = std::iter::repeat_with(|| random.usize(..100_000)).take(1 + seed as usize % 3).collect();
        served.server.set(Way::Damaged(places));
        match served.remote().fetch(&served.mirror, &[MAIN]).await {
            Ok(fetched) => {
                assert_eq!(fetched, [Some(head.clone())], "seed {seed}");
                assert_eq!(served.check(), format!("{MAIN} {head}"), "seed {seed}");
                // once more from the beginning
                git(served.mirror.root(), &["update-ref", "-d", MAIN]);
                for pack in std::fs::read_dir(served.mirror.root().join("objects/pack")).unwrap() {
                    std::fs::remove_file(pack.unwrap().path()).unwrap();
                }
            }
            Err(error) => assert!(error.is_unavailable(), "seed {seed}: {error}"),
        }
        assert_eq!(served.leftovers(), [""; 0], "seed {seed}");
    }
}

#[tokio::test]
async fn a_pack_without_what_it_refers_to_does_not_come_in() {
    let served = Served::new().await;
    let head = served.push(&[("c.txt", b"c")], "main");
    // a server that lost a file, and does not look
    let blob = git(&served.origin.work, &["rev-parse", "HEAD:c.txt"]);
    let pack = {
        let all = git(&served.origin.work, &["rev-list", "--objects", "--no-object-names", "HEAD"]);
        let kept: String = all.lines().filter(|id| *id != blob).map(|id| format!("{id}\n")).collect();
        pack_of(&served.origin.work, &kept)
    };
    let is_there = |served: &Served| served.mirror.resolve(&head).unwrap().is_some();
    let error = send(&served, &head, &pack).await;
    assert!(error.contains("objects are missing"), "{error}");
    assert!(!is_there(&served) && served.leftovers().is_empty());
    // one that is whole, but not what was asked for
    let other = pack_of(&served.origin.work, &format!("{blob}\n"));
    let error = send(&served, &head, &other).await;
    assert!(error.contains("objects are missing"), "{error}");
    // no objects, and none of its beginning
    let empty = pack_of(&served.origin.work, "");
    assert!(send(&served, &head, &empty).await.contains("objects are missing"));
    assert!(send(&served, &head, b"").await.contains("sends no pack"));
    assert!(send(&served, &head, b"KCAP\0\0\0\x02\0\0\0\x01").await.contains("not a pack"));
    assert!(send(&served, &head, b"PACK\0\0\0\x02\xff\xff\xff\xff").await.contains("cannot hold 4294967295 objects"));
    assert_eq!(served.check(), "");
}

/// Fetches a branch at `head` with a pack; the error.
async fn send(served: &Served, head: &str, pack: &[u8]) -> String {
    let there = [line(format!("{head} {MAIN}\n").as_bytes()), b"0000".to_vec()].concat();
    let band: Vec<u8> = [b"\x01", pack].concat();
    let pack = [line(b"packfile\n"), line(&band), b"0000".to_vec()].concat();
    served.server.set(Way::Answers { references: there, pack });
    served.remote().fetch(&served.mirror, &[MAIN]).await.unwrap_err().to_string()
}

fn pack_of(work: &std::path::Path, ids: &str) -> Vec<u8> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let mut git = Command::new("git");
    git.arg("-C").arg(work).args(["pack-objects", "--quiet", "--stdout"]);
    let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(ids.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// A small answer that unpacks to a large one is not read to its end.
#[tokio::test]
async fn a_bomb_is_not_unpacked() {
    let served = Served::new().await;
    served.server.set(Way::Bomb(1 << 30));
    let error = served.remote().fetch(&served.mirror, &[MAIN]).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn an_old_server_is_told_from_a_broken_one() {
    let served = Served::new().await;
    served.server.set(Way::Old);
    let error = served.remote().fetch(&served.mirror, &[MAIN]).await.unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
}
