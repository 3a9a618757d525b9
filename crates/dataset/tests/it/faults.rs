//! Stores that refuse, break off, lie or are down for a while.

use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::http::{HeaderValue, Method};
use slipway_dataset::{Blob, Digest, Error};

use crate::child::run;
use crate::endpoint::{SECRET, dataset, store};
use crate::stub::{Stub, answer, broken, refuse};

fn content() -> (Bytes, Blob) {
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let blob = Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 };
    (bytes.into(), blob)
}

#[tokio::test]
async fn a_key_that_may_not_list_the_bucket_works() {
    // without that right, what is not there is forbidden
    let s3 = Stub::start(|request| if request.method == "PUT" { answer(200, "") } else { answer(403, "") }).await;
    let store = store(&s3.url, SECRET);
    let digest = store.push(&dataset()).await.unwrap();
    assert!(!store.contains(&digest).await.unwrap());
    let written = s3.seen().into_iter().filter(|request| request.method == "PUT").count();
    assert_eq!(written, 7, "six blobs and the manifest, no bucket");
    let cache = tempfile::tempdir().unwrap();
    let refused = store.fetch(&digest, cache.path()).await.unwrap_err();
    assert!(refused.to_string().contains("the key may not list the bucket"), "{refused}");
    assert!(!refused.is_unavailable());
}

#[tokio::test]
async fn rotated_keys_and_expired_tokens_are_not_hopeless() {
    for (code, advice) in [
        ("ExpiredToken", "renew them"),
        ("InvalidAccessKeyId", "was rotated"),
        ("SignatureDoesNotMatch", "was rotated"),
        ("InvalidToken", "sign in again"),
        ("RequestTimeTooSkewed", "clock"),
    ] {
        let s3 = Stub::start(move |_| refuse(403, code)).await;
        let refused = store(&s3.url, SECRET).verify(&Digest::of("")).await.unwrap_err();
        assert!(matches!(refused, Error::Refused { .. }) && refused.is_unavailable(), "{refused}");
        let text = refused.to_string();
        assert!(text.contains(&format!("HTTP 403, {code}, no; ")) && text.contains(advice), "{text}");
        assert!(text.contains(&s3.url) && text.contains("s3://datasets/manifests/sha256/"), "{text}");
    }
    let s3 = Stub::start(|_| refuse(403, "AccessDenied")).await;
    assert!(!store(&s3.url, SECRET).verify(&Digest::of("")).await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn another_region_is_named() {
    let s3 = Stub::start(|_| {
        let mut elsewhere = answer(301, "");
        elsewhere.headers_mut().insert("x-amz-bucket-region", HeaderValue::from_static("eu-south-2"));
        elsewhere
    })
    .await;
    let error = store(&s3.url, SECRET).ensure_bucket().await.unwrap_err().to_string();
    assert!(error.contains("the bucket is in the region eu-south-2: set AWS_REGION to it"), "{error}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_continued() {
    let (bytes, blob) = content();
    for ranges in [true, false] {
        let whole = bytes.clone();
        let s3 = Stub::start(move |request| {
            let start = request.header("range").strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
            let start: usize = start.map_or(0, |start| start.parse().unwrap());
            let start = if ranges { start } else { 0 };
            let rest = whole.slice(start..);
            let mut response = match request.before {
                0 | 1 => answer(200, broken(rest.slice(..50_000))),
                _ => answer(200, rest.clone()),
            };
            if start > 0 {
                *response.status_mut() = axum::http::StatusCode::PARTIAL_CONTENT;
                let range = format!("bytes {start}-{}/{}", whole.len() - 1, whole.len());
                response.headers_mut().insert("content-range", range.parse().unwrap());
            }
            response
        })
        .await;
        let cache = tempfile::tempdir().unwrap();
        let path = store(&s3.url, SECRET).fetch_file(blob, cache.path()).await.unwrap();
        assert_eq!(std::fs::read(path).unwrap(), bytes);
        let asked: Vec<String> = s3.seen().iter().map(|request| request.header("range").to_owned()).collect();
        let expected =
            if ranges { ["", "bytes=50000-", "bytes=100000-"] } else { ["", "bytes=50000-", "bytes=50000-"] };
        assert_eq!(asked, expected);
    }
}

#[tokio::test]
async fn content_of_another_size_is_not_read() {
    let (bytes, blob) = content();
    // announced: refused by its header
    let longer = bytes.len() + 1;
    let s3 = Stub::start(move |_| answer(200, vec![0; longer])).await;
    let cache = tempfile::tempdir().unwrap();
    let error = store(&s3.url, SECRET).fetch_file(blob, cache.path()).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    assert!(error.to_string().contains("holds 200001 bytes instead of the 200000 bytes of sha256:"), "{error}");
    // not announced and without an end: given up after one byte more
    let s3 = Stub::start(|_| {
        let forever = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 4096])));
        answer(200, axum::body::Body::from_stream(forever))
    })
    .await;
    let error = store(&s3.url, SECRET).fetch_file(blob, cache.path()).await.unwrap_err();
    assert!(error.to_string().contains("more than 200000 bytes"), "{error}");
    // and of nothing that failed is anything left
    assert_eq!(std::fs::read_dir(cache.path().join("sha256")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_wrong_clock_is_corrected() {
    let ahead = SystemTime::now() + Duration::from_secs(3600);
    let s3 = Stub::start(move |request| {
        let mut response =
            if request.before == 0 { refuse(403, "RequestTimeTooSkewed") } else { refuse(404, "NoSuchKey") };
        let date = httpdate::fmt_http_date(ahead);
        response.headers_mut().insert("date", date.parse().unwrap());
        response
    })
    .await;
    let error = store(&s3.url, SECRET).verify(&Digest::of("")).await.unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    let seen = s3.seen();
    // 20261125T141311Z: an hour later is another hour
    let hours: Vec<&str> = seen.iter().map(|request| &request.header("x-amz-date")[..11]).collect();
    assert!(hours.len() == 2 && hours[0] != hours[1], "{hours:?}");
}

#[tokio::test]
async fn a_job_waits_for_a_store_that_starts_again() {
    let s3 = Stub::start(|request| answer(if request.before < 7 { 503 } else { 200 }, "")).await;
    let environment = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", &s3.url),
    ];
    assert_eq!(run("wait", &environment).await.text, "ok: true");
    assert_eq!(s3.seen().len(), 8);
}

#[tokio::test]
async fn a_failed_upload_leaves_no_parts() {
    let s3 = Stub::start(|request| match (request.method.clone(), request.uri.query().unwrap_or_default()) {
        (Method::HEAD, _) => answer(404, ""),
        (Method::POST, query) if query.contains("uploads") => {
            answer(200, "<InitiateMultipartUploadResult><UploadId>upload-7</UploadId></InitiateMultipartUploadResult>")
        }
        (Method::PUT, query) if query.contains("partNumber=2") => refuse(403, "AccessDenied"),
        _ => answer(200, ""),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::File::create(&file).unwrap().set_len(40 << 20).unwrap();
    let error = store(&s3.url, SECRET).push_file(&file).await.unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    let seen = s3.seen();
    let last = seen.last().unwrap();
    assert_eq!(
        (last.method.as_str(), last.uri.query().unwrap()),
        ("DELETE", "x-id=AbortMultipartUpload&uploadId=upload-7")
    );
}
