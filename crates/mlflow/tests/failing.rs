//! An MLflow that fails, refuses, or does not run.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::{Duration, Instant};

use serde_json::json;
use slipway_mlflow::{Client, Error, Metric, Retry};
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn client(address: &str) -> Client {
    let pause = Duration::from_millis(5);
    Client::new(address).unwrap().with_retry(Retry::at_most(4).pausing(pause, pause))
}

#[tokio::test]
async fn a_failure_that_passes_is_not_seen() {
    let server = MockServer::start().await;
    let batch = "/api/2.0/mlflow/runs/log-batch";
    Mock::given(path(batch)).respond_with(ResponseTemplate::new(503)).up_to_n_times(2).mount(&server).await;
    Mock::given(path(batch))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({})))
        .expect(1)
        .mount(&server)
        .await;
    client(&server.uri()).log_batch("r", &[Metric::new("loss", 1.0, 0, 0)], &[], &[]).await.unwrap();
}

#[tokio::test]
async fn attempts_are_bounded() {
    let server = MockServer::start().await;
    Mock::given(path_regex("runs/get"))
        .respond_with(ResponseTemplate::new(500).set_body_string("database is locked"))
        .expect(4)
        .mount(&server)
        .await;
    let error = client(&server.uri()).get_run("r").await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("after 4 attempts"), "{error}");

    let begun = Instant::now();
    let error = client("http://127.0.0.1:9").get_run("r").await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { attempts: 4, .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    let server = MockServer::start().await;
    let refusal = json!({"error_code": "INVALID_PARAMETER_VALUE", "message": "no such metric"});
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(400).set_body_json(refusal))
        .expect(1)
        .mount(&server)
        .await;
    let error = client(&server.uri()).set_tag("r", "k", "v").await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { status: 400, .. }) && error.to_string().contains("no such metric"),
        "{error}"
    );
    assert!(!error.is_unavailable());
}

#[tokio::test]
async fn what_would_be_made_twice_is_not_tried_after_a_doubtful_answer() {
    // 502 and 504: a proxy that cannot say whether the run was made; 500 and 503: an MLflow that may have made it before it failed
    for status in [500, 502, 503, 504] {
        let server = MockServer::start().await;
        Mock::given(path("/api/2.0/mlflow/runs/create"))
            .respond_with(ResponseTemplate::new(status))
            .expect(1)
            .mount(&server)
            .await;
        let error = client(&server.uri()).create_run("0", "run", &[], 0).await.unwrap_err();
        assert!(error.is_unavailable(), "whoever can find out may try again: {error}");
    }
}

/// The version was made, and MLflow failed at what it does after that.
#[tokio::test]
async fn a_version_that_was_made_before_mlflow_failed_is_found_and_not_made_again() {
    let server = MockServer::start().await;
    Mock::given(path("/api/2.0/mlflow/model-versions/create"))
        .respond_with(ResponseTemplate::new(503))
        .expect(1)
        .mount(&server)
        .await;
    let made = json!({"name": "mnist", "version": "3", "source": "models:/m-1", "run_id": "r", "status": "READY"});
    Mock::given(path("/api/2.0/mlflow/model-versions/search"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"model_versions": [made]})))
        .expect(1)
        .mount(&server)
        .await;
    let version = client(&server.uri()).create_model_version("mnist", "models:/m-1", "r", "m-1", &[]).await.unwrap();
    assert_eq!(version.version, "3");
}

#[tokio::test]
async fn a_file_of_another_size_is_not_downloaded() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_bytes(vec![7; 1000]);
    Mock::given(method("GET")).respond_with(answer).expect(3).mount(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let download = async |size| {
        client(&server.uri()).download_artifact("mlflow-artifacts:/m", "model.safetensors", size, &file).await
    };
    for size in [999, 1001] {
        let error = download(size).await.unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::Size { .. }) && message.contains("has 1000 bytes, but"), "{message}");
        assert!(!file.exists());
    }
    download(1000).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), vec![7; 1000]);
}

#[tokio::test]
async fn an_answer_that_is_not_mlflows_is_named() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_body_string("<html>")).mount(&server).await;
    let error = client(&server.uri()).get_run("r").await.unwrap_err();
    assert!(matches!(error, Error::Answer { .. }), "{error}");
}

#[tokio::test]
async fn a_login_is_sent_to_its_own_server_only() {
    let (own, other) = (MockServer::start().await, MockServer::start().await);
    for server in [&own, &other] {
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(401)).mount(server).await;
    }
    let address = own.uri().replace("://", "://ann:marked@");
    let error = client(&address).get_run("r").await.unwrap_err().to_string();
    assert!(error.contains("does not accept the login of MLFLOW_TRACKING_URI") && !error.contains("marked"), "{error}");
    let elsewhere = format!("mlflow-artifacts://{}/1/r/artifacts", other.address());
    let error = client(&address).list_artifacts(&elsewhere).await.unwrap_err().to_string();
    assert!(error.contains("is sent to no other server") && error.contains(&own.uri()), "{error}");
    let sent = async |server: &MockServer| {
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.len(), 1);
        requests[0].headers.contains_key("authorization")
    };
    assert!(sent(&own).await && !sent(&other).await);
}
