//! Wheels: downloaded by pip, checked by their hash.

use std::fs;
use std::process::Command;

use slipway_digest::Digest;
use slipway_image::{Archive, Package};

use crate::archives::{deb, wheel};
use crate::mirror::Answer;
use crate::repository::{DECLARATION, Ran, Repository};

const FILE: &str = "thing-1.0-py3-none-any.whl";

/// A repository whose image has Python and one wheel, which pip finds in a folder.
fn with_wheel(digest: Option<Digest>) -> Repository {
    let mut repository = Repository::new();
    let python = deb("python3.11", "3.11.2-6", "/usr/bin/python3.11", b"none");
    let path = "pool/main/p/python3.11_3.11.2-6_all.deb";
    repository.locked.debian.push(Package {
        name: "python3.11".into(),
        version: "3.11.2-6".into(),
        archive: Archive::Debian,
        path: path.into(),
        sha256: Digest::of(&python),
        size: python.len() as u64,
    });
    repository.mirror.set(path, Answer::Whole(python));
    fs::create_dir(repository.path("index")).unwrap();
    fs::write(repository.path("index").join(FILE), wheel("1.0")).unwrap();
    let digest = digest.unwrap_or_else(|| Digest::of(wheel("1.0")));
    repository.write("apps/thing/requirements.lock", &format!("thing==1.0 --hash={digest}\n"));
    let python = "  python: {version: \"3.11\", requirements: requirements.lock}\n  files:";
    repository.write("apps/thing/image.yaml", &DECLARATION.replace("  files:", python));
    repository.lock_wheel(FILE, digest);
    repository.commit();
    repository
}

fn build(repository: &Repository) -> Ran {
    let mut command: Command = repository.command(&["build", "thing", "-o", "json"]);
    Ran::of(command.env("PIP_FIND_LINKS", repository.path("index")).output().unwrap())
}

#[test]
fn a_wheel_becomes_a_layer() {
    let repository = with_wheel(None);
    let ran = build(&repository);
    assert_eq!(ran.code(), 0, "{ran:?}");
    // in the cache now
    assert_eq!(repository.build(), ran.json()["digest"].as_str().unwrap());
}

#[test]
fn a_wheel_with_another_hash_is_not_used() {
    let repository = with_wheel(Some(Digest::of(b"another wheel")));
    let ran = build(&repository);
    let message = ran.json()["error"].as_str().unwrap().to_owned();
    assert!(ran.code() == 3 && message.contains("not the one that was locked"), "{ran:?}");
    assert!(!repository.path("cache/slipway/wheels").join(FILE).exists());
}

#[test]
fn a_changed_requirements_file_makes_the_lock_out_of_date() {
    let repository = with_wheel(None);
    repository.write("apps/thing/requirements.lock", &format!("thing==1.1 --hash=sha256:{}\n", "0".repeat(64)));
    let message = repository.fails(3, &["build", "thing"]);
    assert!(message.contains("out of date"), "{message}");
}
