//! Registries that refuse, are slow, or answer with the wrong content. The tag is set in none of these cases.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use slipway_digest::Digest;
use slipway_oci::{Descriptor, Document, Layout, LayoutWriter, Manifest, media_type};
use slipway_registry::{Error, Options, pull, push};
use tempfile::TempDir;
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A layout with one small image.
fn layout() -> (TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let writer = LayoutWriter::open(folder.path()).unwrap();
    let config = writer.put(&Document::new(media_type::CONFIG, &json!({}))).unwrap();
    let layer = Descriptor::new(media_type::LAYER, writer.blobs().put(b"a layer").unwrap(), 7);
    let manifest = writer.put(&Manifest::new(config, vec![layer]).document()).unwrap();
    let layout = writer.finish(vec![manifest]).unwrap();
    (folder, layout)
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
    let (_folder, layout) = layout();
    let to = format!("{}/team/thing:1.0", server.address());
    let error = push(&layout, &to, &options(), |_| ()).await.unwrap_err();
    let requests = server.received_requests().await.unwrap();
    assert!(
        !requests.iter().any(|one| one.method.as_str() == "PUT" && one.url.path().ends_with("/manifests/1.0")),
        "{requests:?}"
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
async fn one_that_requires_credentials() {
    let server = registry(&[("HEAD", ".*", status(401)), ("GET", ".*", status(401))]).await;
    let error = push_to(&server).await;
    assert!(matches!(error, Error::Denied { .. }) && error.to_string().contains("docker login"), "{error}");
}

#[tokio::test]
async fn one_that_is_silent() {
    let server = registry(&[("HEAD", ".*", status(200).set_delay(Duration::from_secs(30)))]).await;
    let begun = Instant::now();
    let error = push_to(&server).await;
    assert!(matches!(error, Error::Unreachable { attempts: 2, .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn one_that_is_broken_is_asked_again() {
    let server = MockServer::start().await;
    Mock::given(method("HEAD")).respond_with(status(503)).mount(&server).await;
    let error = push_to(&server).await;
    assert!(matches!(error, Error::Unreachable { attempts: 2, .. }), "{error}");
    assert_eq!(server.received_requests().await.unwrap().iter().filter(|one| one.method.as_str() == "HEAD").count(), 2);
}

#[tokio::test]
async fn one_that_does_not_exist() {
    let (_folder, layout) = layout();
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
    let (folder, layout) = layout();
    let blobs = folder.path().join("blobs/sha256");
    for entry in std::fs::read_dir(&blobs).unwrap() {
        let path = entry.unwrap().path();
        if std::fs::read(&path).unwrap() == b"a layer" {
            std::fs::write(path, b"b layer").unwrap();
        }
    }
    let server = registry(&[("HEAD", ".*", status(200)), ("GET", ".*", status(200))]).await;
    let to = format!("{}/team/thing", server.address());
    let error = push(&layout, &to, &options(), |_| ()).await.unwrap_err();
    assert!(matches!(error, Error::Layout { .. }) && error.to_string().contains("build the image again"), "{error}");
}

#[tokio::test]
async fn a_tag_is_not_pulled() {
    let folder = tempfile::tempdir().unwrap();
    let error = pull("127.0.0.1:1/team/thing:1.0", folder.path(), &options()).await.unwrap_err();
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
    let error = pull(&from, folder.path(), &options()).await.unwrap_err();
    assert!(matches!(error, Error::OtherDigest { .. }), "{error}");
    assert!(!folder.path().join("index.json").exists());
}

#[tokio::test]
async fn a_blob_that_is_longer_than_the_manifest_says_is_given_up() {
    let config = Descriptor::new(media_type::CONFIG, Digest::of(b"{}"), 2);
    let manifest = Manifest::new(config, Vec::new()).document();
    let server = registry(&[
        ("GET", "/manifests/", status(200).set_body_bytes(manifest.bytes.clone())),
        ("GET", "/blobs/", status(200).set_body_bytes(vec![b' '; 1 << 20])),
        ("GET", ".*", status(200)),
    ])
    .await;
    let folder = tempfile::tempdir().unwrap();
    let from = format!("{}/team/thing@{}", server.address(), manifest.digest());
    let error = pull(&from, folder.path(), &options()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { size: 2, .. }), "{error}");
    assert!(error.is_unavailable() && !Layout::exists(folder.path()));
    assert_eq!(std::fs::read_dir(folder.path().join("blobs/sha256")).unwrap().count(), 0);
}

/// Another test of this file, in a process whose proxy leads nowhere.
#[test]
fn a_registry_on_loopback_is_asked_past_a_proxy() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "what_is_pulled_is_what_was_asked_for"]).env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        again.env(name, "http://127.0.0.1:1");
    }
    let done = again.output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
}
