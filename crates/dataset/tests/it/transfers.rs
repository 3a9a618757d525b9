//! Large content in both directions, in bounded memory.

use std::io::{Seek, Write};
use std::path::Path;

use axum::body::{Body, Bytes};
use axum::response::Response;
use slipway_dataset::{Blob, Digest, Error};

use crate::child::run;
use crate::endpoint::{SECRET, endpoint, store};
use crate::stub::{Seen, Stub, answer};

const MIB: u64 = 1 << 20;

/// A file of some MiB, each different.
fn file(path: &Path, mib: u64) {
    let mut file = std::fs::File::create(path).unwrap();
    for n in 0..mib {
        file.write_all(&vec![n as u8; MIB as usize]).unwrap();
    }
}

#[tokio::test]
async fn a_large_file_travels_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let (objects, local, cache) = (folder.path().join("s3"), folder.path().join("file"), folder.path().join("cache"));
    std::fs::create_dir(&objects).unwrap();
    file(&local, 37);
    let store = store(&endpoint(&objects).await, SECRET);
    store.ensure_bucket().await.unwrap();
    let blob = store.push_file(&local).await.unwrap();
    assert_eq!((blob.digest, blob.size), Digest::of_file(&local).unwrap());
    let fetched = store.fetch_file(blob, &cache).await.unwrap();
    assert_eq!(Digest::of_file(&fetched).unwrap(), (blob.digest, blob.size));
    // what is there is neither sent nor fetched again
    std::fs::remove_dir_all(&objects).unwrap();
    assert_eq!(store.fetch_file(blob, &cache).await.unwrap(), fetched);
    std::fs::File::options().write(true).open(&fetched).unwrap().write_all(b"rot").unwrap();
    assert!(store.fetch_file(blob, &cache).await.is_err());
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    file(&path, 1);
    let changing = path.clone();
    let s3 = Stub::start(move |request| {
        if request.method == "HEAD" {
            // after it was hashed, before it is read
            let mut file = std::fs::File::options().write(true).open(&changing).unwrap();
            file.rewind().unwrap();
            file.write_all(b"other").unwrap();
        }
        answer(if request.method == "HEAD" { 404 } else { 200 }, "")
    })
    .await;
    let error = store(&s3.url, SECRET).push_file(&path).await.unwrap_err();
    assert!(matches!(error, Error::Source { .. }) && error.to_string().contains("changed while"), "{error}");
    assert!(s3.seen().iter().all(|request| request.method != "PUT"));
}

/// What the store of a bucket without objects says to `HEAD` and to uploads in parts; `whole` is its answer to everything else.
fn parts(request: &Seen, whole: u16) -> Response {
    match (request.method.as_str(), request.uri.query().unwrap_or_default()) {
        ("HEAD", _) => answer(404, ""),
        ("POST", query) if query.contains("uploads") => {
            answer(200, "<InitiateMultipartUploadResult><UploadId>upload-7</UploadId></InitiateMultipartUploadResult>")
        }
        ("POST", _) => answer(200, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>"),
        (_, query) => answer(if query.contains("partNumber") { 200 } else { whole }, ""),
    }
}

#[tokio::test]
async fn what_was_written_is_sent_at_once_and_signed_with_its_own_digest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    file(&path, 19);
    let (digest, size) = Digest::of_file(&path).unwrap();
    // an overloaded store, and a proxy that takes nothing large
    for whole in [200, 503, 413] {
        let s3 = Stub::start(move |request| parts(request, whole)).await;
        store(&s3.url, SECRET).push_written(&path, Blob { digest, size }).await.unwrap();
        let seen = s3.seen();
        let puts: Vec<_> = seen.iter().filter(|request| request.method == "PUT").collect();
        assert_eq!(puts[0].header("x-amz-content-sha256"), digest.hex());
        assert_eq!((puts[0].body.len() as u64, Digest::of(&puts[0].body)), (size, digest));
        // two parts of 8 MiB and the rest
        assert_eq!(puts.len(), if whole == 200 { 1 } else { 4 }, "{whole}");
        let mut sent = Vec::new();
        for part in &puts[1..] {
            assert_eq!(part.header("x-amz-content-sha256"), Digest::of(&part.body).hex());
            let query = part.uri.query().unwrap();
            sent.push((query.contains("partNumber=3"), part.body.len() as u64));
        }
        sent.sort_unstable();
        assert_eq!(sent, [(false, 8 * MIB), (false, 8 * MIB), (true, 3 * MIB)][..puts.len() - 1]);
    }
}

#[tokio::test]
async fn the_store_takes_what_was_written_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (objects, path, cache) = (folder.path().join("s3"), folder.path().join("file"), folder.path().join("cache"));
    std::fs::create_dir(&objects).unwrap();
    file(&path, 11);
    let store = store(&endpoint(&objects).await, SECRET);
    store.ensure_bucket().await.unwrap();
    let (digest, size) = Digest::of_file(&path).unwrap();
    let blob = Blob { digest, size };
    store.push_written(&path, blob).await.unwrap();
    assert_eq!(Digest::of_file(&store.fetch_file(blob, &cache).await.unwrap()).unwrap(), (digest, size));
    for wrong in [Blob { digest: Digest::of("other"), size }, Blob { digest: Digest::of("shorter"), size: size - 1 }] {
        let error = store.push_written(&path, wrong).await.unwrap_err();
        assert!(matches!(error, Error::Source { .. }) && error.to_string().contains("changed while"), "{error}");
        assert!(!store.has(wrong).await.unwrap());
    }
}

#[tokio::test]
async fn memory_is_bounded_in_both_directions() {
    const SIZE: u64 = 192 * MIB;
    let piece = Bytes::from(vec![7; MIB as usize]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut file = std::fs::File::create(&path).unwrap();
    for _ in 0..SIZE / MIB {
        file.write_all(&piece).unwrap();
    }
    let digest = Digest::of_file(&path).unwrap().0.to_string();
    let s3 = Stub::start(move |request| {
        if request.method != "GET" {
            return parts(request, 200);
        }
        let piece = piece.clone();
        let pieces = (0..SIZE / MIB).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
        answer(200, Body::from_stream(futures::stream::iter(pieces)))
    })
    .await;
    let environment = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", &s3.url),
    ];
    let fetch = format!("fetch {digest} {SIZE} {}", folder.path().join("cache").display());
    for (action, most) in [(fetch, 24), (format!("push {}", path.display()), 112)] {
        let outcome = run(&action, &environment).await.text;
        let grown: u64 = outcome.strip_prefix("ok: ").unwrap_or_else(|| panic!("{outcome}")).parse().unwrap();
        assert!(grown < most * 1024, "{action}: {grown} kB");
    }
}
