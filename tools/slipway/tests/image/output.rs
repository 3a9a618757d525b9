//! Where a build writes, and where it cannot.

use std::fs;
use std::process::Command;

use crate::repository::{Ran, Repository, everything};

#[test]
fn a_folder_with_other_things_is_left_alone() {
    let repository = Repository::new();
    let folder = repository.path("mine");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("letter.txt"), "dear").unwrap();
    let message = repository.fails(3, &["build", "thing", "--to", &format!("layout:{}", folder.display())]);
    assert!(message.contains("not an OCI image layout"), "{message}");
    assert_eq!(everything(&folder), [folder.join("letter.txt")]);
}

#[test]
fn a_path_that_cannot_be_written_is_an_error() {
    let repository = Repository::new();
    fs::write(repository.path("file"), "").unwrap();
    for (to, path) in
        [("layout:../file/image", "/file"), ("tar:../file/image.tar", "/file"), ("tar:/proc/x.tar", "/proc")]
    {
        let message = repository.fails(3, &["build", "thing", "--to", to]);
        assert!(message.contains(path), "{message}");
    }
    assert_eq!(repository.run(&["build", "thing", "--to", "image.tar"]).code(), 2);
}

/// One file cannot be about the images of two platforms.
#[test]
fn what_is_said_of_images_is_of_one_platform() {
    let repository = Repository::new();
    let both = ["--platform", "linux/amd64,linux/arm64", "--predicates", "said"];
    let message = repository.fails(3, &[&["push", "thing", "--to", "127.0.0.1:1/acme"][..], &both].concat());
    assert!(message.contains("`slipway image index` makes one index of them"), "{message}");
    assert!(!repository.root().join("said").exists());
}

#[test]
fn a_layout_is_replaced_whole() {
    let repository = Repository::new();
    let folder = repository.path("image");
    let to = format!("layout:{}", folder.display());
    assert_eq!(repository.run(&["build", "thing", "--to", &to]).code(), 0);
    let first = everything(&folder).len();
    repository.write("README.md", "another commit");
    repository.commit();
    assert_eq!(repository.run(&["build", "thing", "--to", &to]).code(), 0);
    assert_eq!(everything(&folder).len(), first);
}

/// On a file system of this many bytes, in a namespace of its own.
fn on_a_small_disk(repository: &Repository, bytes: usize, arguments: &str) -> Ran {
    let disk = repository.path("disk");
    fs::create_dir_all(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={bytes} tmpfs {disk} && {{ {slipway} image {arguments}; code=$?; ls -A {disk}; exit $code; }}",
        disk = disk.display(),
        slipway = env!("CARGO_BIN_EXE_slipway"),
    );
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    repository.prepare(&mut command);
    if arguments.contains("cache") {
        command.env("XDG_CACHE_HOME", &disk);
    }
    Ran::of(command.output().unwrap())
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_leaves_no_part_of_a_layout() {
    let repository = Repository::new();
    repository.build();
    let disk = repository.path("disk").display().to_string();
    for target in [format!("layout:{disk}/image"), format!("tar:{disk}/image.tar")] {
        let ran = on_a_small_disk(&repository, 64 << 10, &format!("build thing --to {target}"));
        assert_eq!(ran.code(), 5, "{ran:?}");
        assert!(ran.errors().contains("No space left on device"), "{ran:?}");
        assert_eq!(ran.text(), "", "something is left behind: {ran:?}");
    }
    // the cache on the full disk; nothing there claims to be a finished layer
    let ran = on_a_small_disk(
        &repository,
        64 << 10,
        &format!("build thing --to layout:{}/cache-image", repository.path("x").display()),
    );
    assert_eq!(ran.code(), 5, "{ran:?}");
    assert!(ran.errors().contains("No space left on device"), "{ran:?}");
}
