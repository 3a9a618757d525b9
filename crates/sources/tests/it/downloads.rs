//! Files from addresses and from an object store.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::get;
use slipway_dataset::idx::{write_images, write_labels};
use slipway_digest::Digest;
use slipway_sources::Error;
use tokio::net::TcpListener;

use crate::project::{Project, gzip};

static ASKED: AtomicUsize = AtomicUsize::new(0);

fn images() -> Vec<u8> {
    gzip(&write_images(2, 2, &[7; 40]).unwrap())
}

fn labels() -> Vec<u8> {
    write_labels(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]).unwrap()
}

/// A server on this machine's loopback.
async fn server() -> String {
    let app = Router::new()
        .route(
            "/images.gz",
            get(async || {
                ASKED.fetch_add(1, Ordering::SeqCst);
                images()
            }),
        )
        .route("/labels", get(async || labels()))
        .route("/page", get(async || Html("<!doctype html><title>Sign in</title>")))
        .route("/private", get(async || StatusCode::FORBIDDEN))
        .route("/down", get(async || StatusCode::SERVICE_UNAVAILABLE));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn spec(images: &str, labels: &str) -> String {
    format!(
        "source: {{idx: {{images: {images}, labels: {labels}}}}}, classes: 2, split: {{train: 6, validation: 2, test: 2, seed: 0}}"
    )
}

#[tokio::test]
async fn a_pinned_file_is_downloaded_once() {
    let url = server().await;
    let project = Project::new();
    let first = project.make(&spec(&format!("{url}/images.gz"), &format!("{url}/labels"))).await.unwrap();
    assert_eq!(first.files[0].1, Digest::of(images()));
    let before = ASKED.load(Ordering::SeqCst);
    let pinned =
        |digest: Digest| spec(&format!("{{from: {url}/images.gz, digest: {digest}}}"), &format!("{url}/labels"));
    let again = project.make(&pinned(Digest::of(images()))).await.unwrap();
    assert_eq!(again.dataset.digest(), first.dataset.digest());
    assert_eq!(ASKED.load(Ordering::SeqCst), before, "it is in the cache");
    // what is in the cache is verified
    let cached = project.path().join("cache/sources/sha256").join(Digest::of(images()).hex());
    std::fs::write(&cached, "rot").unwrap();
    project.make(&pinned(Digest::of(images()))).await.unwrap();
    assert_eq!(ASKED.load(Ordering::SeqCst), before + 1);

    let other = Digest::of("other");
    let problem = project.problem(&pinned(other)).await;
    assert_eq!((problem.code, problem.field.as_str()), ("digest-mismatch", "spec.source.idx.images.digest"));
    let expected = format!("{url}/images.gz has the digest {}, but {other} is pinned", Digest::of(images()));
    assert_eq!(problem.message, expected);
    assert!(problem.help.contains("--repin"), "{problem:?}");
}

#[tokio::test]
async fn what_a_server_answers_instead_is_said() {
    let url = server().await;
    let project = Project::new();
    project.write("labels", labels());
    for (path, code, message, help) in [
        ("nothing", "not-found", "/nothing answers 404 Not Found", "correct the address"),
        ("private", "not-found", "/private answers 403 Forbidden", "needs a login"),
        ("page", "web-page", "/page is a web page, not the file itself", "download button"),
        ("labels", "truncated", "begins with 0x00000801", "correct the address"),
    ] {
        let problem = project.problem(&spec(&format!("{url}/{path}"), "labels")).await;
        assert_eq!((problem.code, problem.field.as_str()), (code, "spec.source.idx.images"), "{problem:?}");
        assert!(problem.message.contains(message) && problem.help.contains(help), "{problem:?}");
    }
    let error = project.make(&spec(&format!("{url}/down"), "labels")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("it answers 503 Service Unavailable"), "{error}");
    let error = project.make(&spec("http://127.0.0.1:9/x", "labels")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn an_object_of_another_bucket_is_read() {
    let project = Project::new();
    project.write("s3/raw/data/images.gz", images());
    project.write("labels", labels());
    let made = project.make(&spec("s3://raw/data/images.gz", "labels")).await.unwrap();
    assert_eq!(made.files[0].1, Digest::of(images()));
    let problem = project.problem(&spec("s3://raw/data/none.gz", "labels")).await;
    assert_eq!((problem.code, problem.field.as_str()), ("not-found", "spec.source.idx.images"));
    assert!(problem.message.contains("s3://raw/data/none.gz at http://127.0.0.1:"), "{problem:?}");
}

#[tokio::test]
async fn a_folder_has_the_digest_of_what_sha256sum_prints() {
    let project = Project::new();
    for name in ["b/2.png", "a/1.png"] {
        project.write(&format!("data/{name}"), name);
    }
    let lines = format!("{}  a/1.png\n{}  b/2.png\n", Digest::of("a/1.png").hex(), Digest::of("b/2.png").hex());
    let other = Digest::of("other");
    let problem = project
        .problem(&format!("source: {{images: {{from: {{from: data, digest: {other}}}}}}}, split: {{train: 1, validation: 1, test: 1, seed: 0}}"))
        .await;
    assert_eq!(problem.message, format!("data has the digest {}, but {other} is pinned", Digest::of(lines)));
}
