//! Registries that refuse, are slow, or answer with something else. In each case the tag is never set.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest, Sha256};
use slipway_registry::{Error, Layout, Options, pull, push};
use tempfile::TempDir;
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn put(folder: &Path, bytes: &[u8]) -> serde_json::Value {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(folder.join("blobs/sha256").join(&hex), bytes).unwrap();
    json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": format!("sha256:{hex}"), "size": bytes.len() })
}

/// A layout with one small image.
fn layout() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
    let (config, layer) = (put(folder.path(), b"{}"), put(folder.path(), b"a layer"));
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer] });
    let mut top = put(folder.path(), manifest.to_string().as_bytes());
    top["mediaType"] = kind.into();
    std::fs::write(folder.path().join("index.json"), json!({ "manifests": [top] }).to_string()).unwrap();
    folder
}

fn options() -> Options {
    Options { attempts: 2, silence: Duration::from_millis(300), plain_http: false }
}

async fn registry(answers: &[(&str, &str, ResponseTemplate)]) -> MockServer {
    let server = MockServer::start().await;
    for (verb, path, answer) in answers {
        Mock::given(method(*verb)).and(path_regex(*path)).respond_with(answer.clone()).mount(&server).await;
    }
    server
}

async fn push_to(server: &MockServer) -> Error {
    let folder = layout();
    let to = format!("{}/team/thing:1.0", server.address());
    let error = push(&Layout::open(folder.path()).unwrap(), &to, &options(), |_| ()).await.unwrap_err();
    let asked = server.received_requests().await.unwrap();
    assert!(
        !asked.iter().any(|one| one.method.as_str() == "PUT" && one.url.path().ends_with("/manifests/1.0")),
        "{asked:?}"
    );
    error
}

fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

#[tokio::test]
async fn one_that_refuses() {
    let server =
        registry(&[("HEAD", ".*", status(404)), ("POST", ".*", status(405)), ("GET", ".*", status(200))]).await;
    let error = push_to(&server).await;
    assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains("refuses sending"), "{error}");
}

#[tokio::test]
async fn one_that_wants_to_know_who_asks() {
    let server = registry(&[("HEAD", ".*", status(401)), ("GET", ".*", status(401))]).await;
    let error = push_to(&server).await;
    assert!(matches!(error, Error::Denied { .. }) && error.to_string().contains("docker login"), "{error}");
}

#[tokio::test]
async fn one_that_says_nothing() {
    let server = registry(&[("HEAD", ".*", status(200).set_delay(Duration::from_secs(30)))]).await;
    let begun = Instant::now();
    let error = push_to(&server).await;
    assert!(matches!(error, Error::Unreachable { attempts: 2, .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn one_that_is_broken_for_a_while_is_asked_again() {
    let server = MockServer::start().await;
    Mock::given(method("HEAD")).respond_with(status(503)).mount(&server).await;
    let error = push_to(&server).await;
    assert!(matches!(error, Error::Unreachable { attempts: 2, .. }), "{error}");
    assert_eq!(server.received_requests().await.unwrap().iter().filter(|one| one.method.as_str() == "HEAD").count(), 2);
}

#[tokio::test]
async fn one_that_is_not_there() {
    let folder = layout();
    let layout = Layout::open(folder.path()).unwrap();
    // port 1 is closed
    let error = push(&layout, "127.0.0.1:1/team/thing", &options(), |_| ()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn one_that_answers_with_another_digest_than_was_sent() {
    let server = registry(&[
        ("HEAD", "/blobs/", status(200)),
        ("PUT", "/manifests/sha256:", status(201).insert_header("Location", "/v2/x")),
        ("GET", "/manifests/", status(200).set_body_string("{}")),
        ("GET", "/v2/$", status(200)),
    ])
    .await;
    let error = push_to(&server).await;
    assert!(matches!(error, Error::OtherDigest { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_layout_is_never_sent() {
    let folder = layout();
    let blobs = folder.path().join("blobs/sha256");
    for entry in std::fs::read_dir(&blobs).unwrap() {
        let path = entry.unwrap().path();
        if std::fs::read(&path).unwrap() == b"a layer" {
            std::fs::write(path, b"b layer").unwrap();
        }
    }
    let server = registry(&[("HEAD", ".*", status(200)), ("GET", ".*", status(200))]).await;
    let to = format!("{}/team/thing", server.address());
    let error = push(&Layout::open(folder.path()).unwrap(), &to, &options(), |_| ()).await.unwrap_err();
    assert!(matches!(error, Error::Layout { .. }) && error.to_string().contains("build the image again"), "{error}");
}

#[tokio::test]
async fn a_tag_is_not_pulled() {
    let folder = tempfile::tempdir().unwrap();
    let error = pull("127.0.0.1:1/team/thing:1.0", &[], folder.path(), &options()).await.unwrap_err();
    assert!(matches!(error, Error::NoDigest(_)) && error.to_string().contains("a tag can point elsewhere"), "{error}");
}

#[tokio::test]
async fn what_is_pulled_is_what_was_asked_for() {
    let server = registry(&[
        ("GET", "/manifests/", status(200).set_body_string("{\"layers\": []}")),
        ("GET", ".*", status(200)),
    ])
    .await;
    let folder = tempfile::tempdir().unwrap();
    let from = format!("{}/team/thing@sha256:{}", server.address(), "0".repeat(64));
    let error = pull(&from, &[], folder.path(), &options()).await.unwrap_err();
    assert!(matches!(error, Error::OtherDigest { .. }), "{error}");
    assert!(!folder.path().join("index.json").exists());
}
