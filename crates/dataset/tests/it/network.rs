//! How requests travel: addressing, proxies, names of this machine, checksums.

use crate::child::run;
use crate::endpoint::{SECRET, dataset, store};
use crate::stub::{Stub, answer};

const KEYS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "eu-west-1")];

/// Understands virtual-hosted style only.
async fn virtual_hosted() -> Stub {
    Stub::start(|request| {
        let bucket = request.header("host").starts_with("datasets.s3.slipway.localhost:");
        answer(if bucket && request.uri.path().starts_with("/manifests/") { 200 } else { 400 }, "")
    })
    .await
}

#[tokio::test]
async fn virtual_hosted_style_is_a_switch() {
    let s3 = virtual_hosted().await;
    // nor need the system know such a name
    let endpoint = format!("http://s3.slipway.localhost:{}", s3.port());
    let mut environment =
        [&KEYS[..], &[("AWS_ENDPOINT_URL", endpoint.as_str()), ("SLIPWAY_S3_ADDRESSING", "virtual")]].concat();
    assert_eq!(run("contains 1", &environment).await.text, "ok: true");
    environment.pop();
    let outcome = run("contains 1", &environment).await;
    assert!(outcome.text.contains("HTTP 400"), "{outcome:?}");
    environment.push(("SLIPWAY_S3_ADDRESSING", "dns"));
    let outcome = run("contains 1", &environment).await;
    assert!(outcome.text.contains("SLIPWAY_S3_ADDRESSING is `dns`; set it to `path` or `virtual`"), "{outcome:?}");
}

#[tokio::test]
async fn a_proxy_is_asked_for_everything_but_this_machine() {
    let (s3, proxy) = (Stub::start(|_| answer(200, "")).await, Stub::start(|_| answer(200, "")).await);
    let near = [&KEYS[..], &[("HTTP_PROXY", proxy.url.as_str()), ("AWS_ENDPOINT_URL", &s3.url)]].concat();
    assert_eq!(run("contains 1", &near).await.text, "ok: true");
    assert_eq!((s3.seen().len(), proxy.seen().len()), (1, 0));
    let far =
        [&KEYS[..], &[("HTTP_PROXY", proxy.url.as_str()), ("AWS_ENDPOINT_URL", "http://s3.slipway.invalid")]].concat();
    assert_eq!(run("contains 1", &far).await.text, "ok: true");
    let seen = proxy.seen();
    assert!(seen[0].uri.to_string().starts_with("http://s3.slipway.invalid/datasets/"), "{}", seen[0].uri);
}

#[tokio::test]
async fn checksums_are_sent_only_when_required() {
    let s3 = Stub::start(|request| answer(if request.method == "HEAD" { 404 } else { 200 }, "")).await;
    store(&s3.url, SECRET).push(&dataset()).await.unwrap();
    let seen = s3.seen();
    let written: Vec<_> = seen.iter().filter(|request| request.uri.path().starts_with("/datasets/blobs/")).collect();
    assert!(written.iter().any(|request| request.method == "PUT"));
    for request in written {
        let mut names = request.headers.keys().map(|name| name.as_str());
        assert!(!names.any(|name| name.contains("checksum") || name == "x-amz-trailer"), "{request:?}");
    }
}
