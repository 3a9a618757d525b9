//! What a build needs, and the errors when it is missing.

use std::fs;

use crate::repository::{DECLARATION, Ran, Repository};

#[test]
fn the_result_as_json_and_the_same_again() {
    let repository = Repository::new();
    let built = repository.run(&["build", "thing", "-o", "json"]).json();
    assert_eq!(built["name"], "thing");
    assert!(built["digest"].as_str().unwrap().starts_with("sha256:") && built["size"].as_u64().unwrap() > 1000);
    assert_eq!(built["platforms"].as_array().unwrap().len(), 1);
    assert_eq!(repository.build(), built["digest"].as_str().unwrap());
    // without any cache
    fs::remove_dir_all(repository.path("cache")).unwrap();
    assert_eq!(repository.build(), built["digest"].as_str().unwrap());
    let listed = repository.run(&["list", "-o", "json"]).json();
    assert_eq!((&listed[0]["name"], listed[0]["platforms"].as_array().unwrap().len()), (&"thing".into(), 1));
}

#[test]
fn a_missing_program_names_the_cargo_command() {
    let repository = Repository::new();
    fs::remove_file(repository.path("target/release/thing")).unwrap();
    let message = repository.fails(5, &["build", "thing"]);
    assert!(message.contains("cargo build --release --locked --workspace --bin thing"), "{message}");
}

#[test]
fn a_lock_that_is_out_of_date_or_missing_is_an_error() {
    let repository = Repository::new();
    repository.write("apps/thing/image.yaml", &DECLARATION.replace("[thing-data]", "[thing-data, more]"));
    let message = repository.fails(3, &["build", "thing"]);
    assert!(
        message.contains("image.lock is out of date") && message.contains("`slipway image lock thing`"),
        "{message}"
    );
    fs::remove_file(repository.root().join("apps/thing/image.lock")).unwrap();
    let message = repository.fails(3, &["build", "thing"]);
    assert!(message.contains("does not exist yet"), "{message}");
}

#[test]
fn a_mistake_in_a_declaration_has_line_and_column() {
    let repository = Repository::new();
    repository.write("apps/thing/image.yaml", &DECLARATION.replace("entrypoint: [/usr", "entrypoint: [usr"));
    let message = repository.fails(3, &["build"]);
    assert!(message.contains("apps/thing/image.yaml:10:3"), "{message}");
}

#[test]
fn a_platform_is_never_left_out() {
    let repository = Repository::new();
    let message = repository.fails(3, &["build", "thing", "--platform", "linux/amd64,linux/arm64"]);
    assert!(message.contains("has no entry for linux/arm64"), "{message}");
    assert_eq!(repository.run(&["build", "thing", "--platform", "linux/riscv64"]).code(), 2);
}

#[test]
fn an_unknown_image_is_named_with_the_nearest() {
    let message = Repository::new().fails(3, &["build", "thign"]);
    assert!(message.contains("did you mean thing?"), "{message}");
}

#[test]
fn an_unsigned_mirror_locks_nothing() {
    let repository = Repository::new();
    let before = repository.read("apps/thing/image.lock");
    let path = "dists/bookworm/InRelease";
    repository.mirror.set(path, crate::mirror::Answer::Whole(b"Origin: Debian\nSHA256:\n".to_vec()));
    // no keys are needed to see that nothing is signed
    let keyring = repository.path("keyring.gpg");
    fs::write(&keyring, "").unwrap();
    let mut command = repository.command(&["lock", "thing"]);
    let ran = Ran::of(command.env("SLIPWAY_DEBIAN_KEYRING", keyring).output().unwrap());
    assert_eq!(ran.code(), 6, "{ran:?}");
    assert!(ran.errors().contains("InRelease is not signed by Debian's keys; nothing was locked"), "{ran:?}");
    assert_eq!(repository.read("apps/thing/image.lock"), before);
}
