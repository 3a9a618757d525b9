//! Datasets in a real S3 endpoint (s3s over a folder), whose objects can be damaged on disk.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use slipway_dataset::{Credentials, Digest, Error, LocalDataset, Sizes, Store, idx};
use tempfile::TempDir;
use tokio::net::TcpListener;

const KEYS: (&str, &str) = ("key", "secret");

/// Serves a folder until the test ends.
async fn endpoint(folder: &Path) -> String {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).unwrap());
    service.set_auth(SimpleAuth::from_single(KEYS.0, KEYS.1));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let http = Builder::new(TokioExecutor::new());
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(http.serve_connection(TokioIo::new(socket), service.clone()).into_owned());
        }
    });
    format!("http://{address}")
}

fn store(url: &str, secret: &str) -> Store {
    let credentials = Credentials { access_key: KEYS.0.to_owned(), secret_key: secret.to_owned(), session_token: None };
    Store::new(url, "datasets", credentials, "us-east-1").unwrap()
}

fn dataset() -> LocalDataset {
    let images = idx::Images { count: 100, height: 4, width: 4, pixels: (0..1600).map(|n| (n % 251) as u8).collect() };
    let labels: Vec<u8> = (0..100).map(|n| n % 10).collect();
    LocalDataset::new("tiny", 10, &images, &labels, Sizes { train: 80, validation: 10, test: 10 }, 0).unwrap()
}

/// A store that holds the dataset.
async fn filled() -> (TempDir, Store, Digest) {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&endpoint(folder.path()).await, KEYS.1);
    let digest = store.push(&dataset()).await.unwrap();
    (folder, store, digest)
}

/// Where the endpoint keeps the blob of the training images.
fn blob(folder: &Path) -> PathBuf {
    let manifest = dataset().manifest().clone();
    let path = folder.join("datasets/blobs/sha256").join(manifest.splits.train.images.digest.hex());
    assert!(path.is_file(), "{}", path.display());
    path
}

#[tokio::test]
async fn what_was_pushed_is_fetched() {
    let (folder, store, digest) = filled().await;
    assert!(store.contains(&digest).await.unwrap());
    let cache = tempfile::tempdir().unwrap();
    let read = store.fetch(&digest, cache.path()).await.unwrap();
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
    let down = store("http://127.0.0.1:9", KEYS.1).push(&dataset()).await.unwrap_err();
    assert!(down.is_unavailable() && down.to_string().contains("AWS_ENDPOINT_URL_S3"), "{down}");
    let folder = tempfile::tempdir().unwrap();
    let stranger = store(&endpoint(folder.path()).await, "wrong").push(&dataset()).await.unwrap_err();
    assert!(matches!(stranger, Error::Refused { .. }), "{stranger}");
    assert!(begun.elapsed() < Duration::from_secs(30), "attempts are bounded: {:?}", begun.elapsed());
}
