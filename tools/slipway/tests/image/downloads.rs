//! Mirrors that do not give what was locked.

use crate::archives::deb;
use crate::mirror::Answer;
use crate::repository::{DEB, Repository, everything};

#[test]
fn a_package_that_is_gone_names_the_snapshot_setting() {
    let repository = Repository::new();
    repository.mirror.set(DEB, Answer::Status(404));
    let said = repository.fails(6, &["build", "thing"]);
    for part in [DEB, "SLIPWAY_DEBIAN_MIRROR", "snapshot.debian.org", "slipway image lock thing"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn another_package_than_was_locked_is_not_used() {
    let repository = Repository::new();
    repository.mirror.set(DEB, Answer::Whole(deb("thing-data", "1.0", "/usr/share/thing/data", b"other data")));
    let said = repository.fails(3, &["build", "thing"]);
    assert!(said.contains("it was not used") && said.contains(&repository.locked.debian[0].sha256), "{said}");
    let kept = everything(&repository.path("cache/slipway/debs"));
    assert!(kept.is_empty(), "{kept:?}");
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
