//! A dataset as files: for several processes at once, and mended whatever happened to the files.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use slipway_dataset::{Digest, Error, Store, idx};
use tempfile::TempDir;

use crate::child::run;
use crate::endpoint::{SECRET, dataset, endpoint, store};

async fn filled() -> (TempDir, Store, Digest) {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&endpoint(folder.path()).await, SECRET);
    let digest = store.push(&dataset()).await.unwrap();
    (folder, store, digest)
}

/// Every file below a folder with its content, or that it is a link.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut content = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(path) = folders.pop() {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            if path.is_symlink() {
                content.insert(name, b"a link".to_vec());
            } else if path.is_dir() {
                folders.push(path);
            } else {
                content.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    content
}

#[tokio::test]
async fn idx_files_have_their_usual_names() {
    let (objects, store, digest) = filled().await;
    let cache = tempfile::tempdir().unwrap();
    let unpacked = store.unpack(&digest, cache.path()).await.unwrap();
    assert_eq!(unpacked.manifest, *dataset().manifest());
    let files = content(&unpacked.folder);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "dataset.json",
            "test/images-idx3-ubyte",
            "test/labels-idx1-ubyte",
            "train/images-idx3-ubyte",
            "train/labels-idx1-ubyte",
            "validation/images-idx3-ubyte",
            "validation/labels-idx1-ubyte"
        ]
    );
    assert_eq!(idx::read_images("", &files["train/images-idx3-ubyte"]).unwrap().count, 80);
    let description: serde_json::Value = serde_json::from_slice(&files["dataset.json"]).unwrap();
    assert_eq!(
        description,
        serde_json::json!({
            "name": "tiny", "digest": digest.to_string(), "format": "idx", "shape": [4, 4], "classes": 10, "labels": null,
            "counts": {"train": 80, "validation": 10, "test": 10},
        })
    );
    for name in names {
        let mode = unpacked.folder.join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444, "{name}");
    }
    // again without the store, which is not asked for what is there
    std::fs::remove_dir_all(objects.path().join("datasets")).unwrap();
    assert_eq!(store.unpack(&digest, cache.path()).await.unwrap(), unpacked);
    // the built-in trainer finds the same files in the same cache
    assert_eq!(store.fetch(&digest, cache.path()).await.unwrap().train.count, 80);
}

#[tokio::test]
async fn whatever_happened_to_the_files_is_mended() {
    let (_objects, store, digest) = filled().await;
    let cache = tempfile::tempdir().unwrap();
    let folder = store.unpack(&digest, cache.path()).await.unwrap().folder;
    let whole = content(&folder);
    let overwrite = |path: &Path, bytes: &[u8]| {
        std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let images = folder.join("train/images-idx3-ubyte");
    let mishaps: [(&str, &dyn Fn()); 9] = [
        ("a flipped byte", &|| {
            let mut bytes = whole["train/images-idx3-ubyte"].clone();
            bytes[99] ^= 1;
            overwrite(&images, &bytes);
        }),
        ("a truncated file", &|| overwrite(&images, &whole["train/images-idx3-ubyte"][..50])),
        ("a missing file", &|| std::fs::remove_file(&images).unwrap()),
        ("a missing folder", &|| std::fs::remove_dir_all(folder.join("test")).unwrap()),
        ("a strange file", &|| std::fs::write(folder.join("train/processed.pt"), "x").unwrap()),
        ("another description", &|| overwrite(&folder.join("dataset.json"), b"{}")),
        ("a link in place of a file", &|| {
            let elsewhere = cache.path().join("elsewhere");
            std::fs::rename(&images, &elsewhere).unwrap();
            symlink(&elsewhere, &images).unwrap();
        }),
        ("a folder in place of a file", &|| {
            std::fs::remove_file(&images).unwrap();
            std::fs::create_dir_all(images.join("a")).unwrap();
            std::fs::write(images.join("a/b"), "x").unwrap();
        }),
        ("a file in place of a folder", &|| {
            std::fs::remove_dir_all(folder.join("train")).unwrap();
            std::fs::write(folder.join("train"), "x").unwrap();
        }),
    ];
    for (mishap, happen) in mishaps {
        happen();
        assert!(content(&folder) != whole, "{mishap} changes nothing");
        assert_eq!(store.unpack(&digest, cache.path()).await.unwrap().folder, folder);
        assert!(content(&folder) == whole, "{mishap} is not mended");
    }
    // what a killed process left is not an obstacle, and does not stay
    std::fs::remove_dir_all(folder.join("test")).unwrap();
    let left = folder.with_extension("part");
    std::fs::create_dir_all(left.join("test")).unwrap();
    std::fs::write(left.join("test/images-idx3-ubyte"), "half").unwrap();
    store.unpack(&digest, cache.path()).await.unwrap();
    assert_eq!(content(&folder), whole);
    assert!(!left.exists());
}

#[tokio::test]
async fn processes_share_the_folder() {
    let objects = tempfile::tempdir().unwrap();
    let url = endpoint(objects.path()).await;
    let digest = store(&url, SECRET).push(&dataset()).await.unwrap().to_string();
    let cache = tempfile::tempdir().unwrap();
    let environment = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", &url),
    ];
    let action = format!("unpack {digest} {}", cache.path().display());
    let outcomes = futures::future::join_all((0..6).map(|_| run(&action, &environment))).await;
    for outcome in outcomes {
        assert!(outcome.text.starts_with("ok: "), "{}", outcome.text);
    }
    let hex = digest.strip_prefix("sha256:").unwrap();
    assert_eq!(content(&cache.path().join("datasets").join(hex)).len(), 7);
}

#[tokio::test]
async fn what_the_store_lacks_or_falsifies_is_not_unpacked() {
    let (objects, store, digest) = filled().await;
    let cache = tempfile::tempdir().unwrap();
    let unknown = store.unpack(&Digest::of("x"), cache.path()).await.unwrap_err();
    assert!(matches!(unknown, Error::Missing { .. }), "{unknown}");
    for entry in std::fs::read_dir(objects.path().join("datasets/blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let falsified = store.unpack(&digest, cache.path()).await.unwrap_err();
    assert!(matches!(falsified, Error::DigestMismatch { .. }), "{falsified}");
    assert!(falsified.to_string().contains("of tiny"), "{falsified}");
    assert!(!cache.path().join("datasets").join(digest.hex()).exists());
}
