//! `slipway image verify`.

use std::fs;
use std::io::Write;

use crate::repository::{Repository, everything};

#[test]
fn a_rebuild_is_compared_by_digest_and_then_by_file() {
    let repository = Repository::new();
    repository.build();
    let ran = repository.run(&["verify", "thing", "-o", "json"]);
    assert_eq!((ran.code(), &ran.json()[0]["same"]), (0, &true.into()), "{ran:?}");

    let mut program = fs::OpenOptions::new().append(true).open(repository.path("target/release/thing")).unwrap();
    program.write_all(b"more").unwrap();
    let ran = repository.run(&["verify", "thing"]);
    assert_eq!(ran.code(), 4, "{ran:?}");
    assert!(ran.text().contains("layer programs: /usr/local/bin/thing differs"), "{ran:?}");
    assert!(!ran.text().contains("layer debian"), "{ran:?}");
}

#[test]
fn another_commit_is_a_difference_of_the_labels() {
    let repository = Repository::new();
    repository.build();
    repository.write("README.md", "x");
    repository.commit();
    let ran = repository.run(&["verify", "thing"]);
    assert!(ran.code() == 4 && ran.text().contains("org.opencontainers.image.revision"), "{ran:?}");
}

#[test]
fn a_damaged_blob_is_an_error() {
    let repository = Repository::new();
    repository.build();
    let blobs = everything(&repository.path("cache/slipway/images/thing/blobs"));
    let largest = blobs.iter().filter(|path| path.is_file()).max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let copy = fs::read(largest).unwrap();
    // the layout and the cache may share the file
    fs::remove_file(largest).unwrap();
    fs::write(largest, &copy[1..]).unwrap();
    let message = repository.fails(3, &["verify", "thing"]);
    assert!(message.contains(largest.file_name().unwrap().to_str().unwrap()), "{message}");
}
