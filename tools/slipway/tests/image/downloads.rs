//! Mirrors that answer with other content than was locked.

use crate::archives::deb;
use crate::mirror::Answer;
use crate::repository::{DEB, Ran, Repository, everything};

#[test]
fn a_package_that_is_gone_names_the_snapshot_setting() {
    let repository = Repository::new();
    repository.mirror.set(DEB, Answer::Status(404));
    let message = repository.fails(6, &["build", "thing"]);
    for part in [DEB, "SLIPWAY_DEBIAN_MIRROR", "snapshot.debian.org", "slipway image lock thing"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn another_package_than_was_locked_is_not_used() {
    let repository = Repository::new();
    repository.mirror.set(DEB, Answer::Whole(deb("thing-data", "1.0", "/usr/share/thing/data", b"other data")));
    let message = repository.fails(3, &["build", "thing"]);
    assert!(
        message.contains("it was not used") && message.contains(&repository.locked.debian[0].sha256.hex()),
        "{message}"
    );
    let kept = everything(&repository.path("cache/slipway/debs"));
    assert!(kept.is_empty(), "{kept:?}");
}

#[test]
fn a_package_of_another_size_is_given_up_before_it_is_downloaded() {
    let repository = Repository::new();
    let bytes = vec![b' '; 8 << 20];
    repository.mirror.set(DEB, Answer::Whole(bytes.clone()));
    let message = repository.fails(3, &["build", "thing"]);
    assert!(message.contains("has 8388608 bytes") && message.contains("it was not used"), "{message}");
    // without an announced length, the download stops after one byte too many
    repository.mirror.set(DEB, Answer::WithoutLength(bytes));
    let message = repository.fails(3, &["build", "thing"]);
    let size = repository.locked.debian[0].size;
    assert!(
        message.contains(&format!("has more than {size} bytes")) && message.contains("it was not used"),
        "{message}"
    );
    let kept = everything(&repository.path("cache/slipway/debs"));
    assert!(kept.is_empty(), "{kept:?}");
}

#[test]
fn a_mirror_on_this_machine_is_asked_past_a_proxy() {
    let repository = Repository::new();
    let mut command = repository.command(&["build", "thing"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    let ran = Ran::of(command.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap());
    assert_eq!(ran.code(), 0, "{ran:?}");
}

#[test]
fn a_torn_download_is_tried_again() {
    let repository = Repository::new();
    let bytes = deb("thing-data", "1.0", "/usr/share/thing/data", b"some data");
    repository.mirror.set(DEB, Answer::TornOnce(bytes));
    repository.build();
}

#[test]
fn a_package_in_the_cache_is_checked_again() {
    let repository = Repository::new();
    let digest = repository.build();
    let cache = repository.path("cache/slipway");
    let kept = everything(&cache.join("debs"));
    std::fs::write(&kept[0], b"damaged").unwrap();
    std::fs::remove_dir_all(cache.join("layers")).unwrap();
    assert_eq!(repository.build(), digest);
}
