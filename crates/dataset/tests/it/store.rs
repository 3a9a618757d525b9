//! Datasets in a real S3 endpoint (s3s over a folder), whose objects can be damaged on disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use slipway_dataset::{Digest, Error, Format, Store};
use tempfile::TempDir;

use crate::endpoint::{SECRET, dataset, endpoint, store};

/// A store that holds the dataset.
async fn filled() -> (TempDir, Store, Digest) {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&endpoint(folder.path()).await, SECRET);
    let digest = store.push(&dataset()).await.unwrap();
    (folder, store, digest)
}

/// Where the endpoint keeps the blob of the training images.
fn blob(folder: &Path) -> PathBuf {
    let Format::Idx(content) = dataset().manifest().content.clone() else { panic!() };
    let path = folder.join("datasets/blobs/sha256").join(content.splits.train.images.digest.hex());
    assert!(path.is_file(), "{}", path.display());
    path
}

#[tokio::test]
async fn what_was_pushed_is_fetched() {
    let (folder, store, digest) = filled().await;
    assert!(store.contains(&digest).await.unwrap());
    let cache = tempfile::tempdir().unwrap();
    // in a task of its own, as the trainer does
    let (reader, folder_of_cache) = (store.clone(), cache.path().to_owned());
    let fetching = tokio::spawn(async move { reader.fetch(&digest, &folder_of_cache).await });
    let read = fetching.await.unwrap().unwrap();
    assert_eq!((read.train.count, read.validation.count, read.test.count, read.shape), (80, 10, 10, [4, 4]));
    // pushed again, nothing is sent again
    let before = blob(folder.path()).metadata().unwrap().modified().unwrap();
    assert_eq!(store.push(&dataset()).await.unwrap(), digest);
    assert_eq!(blob(folder.path()).metadata().unwrap().modified().unwrap(), before);
    // from the cache, without the store
    std::fs::remove_dir_all(folder.path().join("datasets")).unwrap();
    assert_eq!(store.fetch(&digest, cache.path()).await.unwrap().train, read.train);
}

#[tokio::test]
async fn one_flipped_byte_is_found() {
    let (folder, store, digest) = filled().await;
    store.verify(&digest).await.unwrap();
    let path = blob(folder.path());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let cache = tempfile::tempdir().unwrap();
    for found in [store.verify(&digest).await.unwrap_err(), store.fetch(&digest, cache.path()).await.unwrap_err()] {
        assert!(matches!(found, Error::DigestMismatch { .. }), "{found}");
        assert!(
            found.to_string().contains("train/images") && found.to_string().contains("slipway dataset add"),
            "{found}"
        );
    }
    // nor is a truncated one taken for whole
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(store.verify(&digest).await, Err(Error::DigestMismatch { .. })));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(store.verify(&digest).await, Err(Error::Missing { .. })));
    // adding it again mends it
    store.push(&dataset()).await.unwrap();
    store.verify(&digest).await.unwrap();
}

#[tokio::test]
async fn a_damaged_cache_is_read_again_from_the_store() {
    let (_folder, store, digest) = filled().await;
    let cache = tempfile::tempdir().unwrap();
    let read = store.fetch(&digest, cache.path()).await.unwrap();
    let mut files = vec![cache.path().to_path_buf()];
    let mut damaged = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            std::fs::write(&path, "rot").unwrap();
            damaged += 1;
        }
    }
    assert!(damaged >= 6, "{damaged}");
    assert_eq!(store.fetch(&digest, cache.path()).await.unwrap().test, read.test);
}

#[tokio::test]
async fn a_store_that_is_down_or_refuses_ends_soon() {
    let begun = Instant::now();
    let down = store("http://127.0.0.1:9", SECRET).push(&dataset()).await.unwrap_err();
    assert!(down.is_unavailable() && down.to_string().contains("AWS_ENDPOINT_URL_S3"), "{down}");
    let folder = tempfile::tempdir().unwrap();
    let stranger = store(&endpoint(folder.path()).await, "wrong").push(&dataset()).await.unwrap_err();
    assert!(matches!(stranger, Error::Refused { .. }), "{stranger}");
    assert!(begun.elapsed() < Duration::from_secs(30), "attempts are bounded: {:?}", begun.elapsed());
}
