//! Redirects: within the server, and never beyond it.

use serde_json::json;
use wiremock::matchers::{bearer_token, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{TOKEN, github, pull};
use crate::Error;

#[tokio::test]
async fn a_renamed_repository_is_followed_on_its_server() {
    let (server, github) = github().await;
    Mock::given(path("/repos/octo/cat/pulls"))
        .respond_with(
            ResponseTemplate::new(301).insert_header("location", format!("{}/repositories/1/pulls", server.uri())),
        )
        .mount(&server)
        .await;
    Mock::given(path("/repositories/1/pulls"))
        .and(bearer_token(TOKEN))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([pull(7, "slipway/a")])))
        .mount(&server)
        .await;
    assert_eq!(github.open_for("slipway/a").await.unwrap().unwrap().number, 7);
}

#[tokio::test]
async fn no_token_goes_to_another_server() {
    let elsewhere = MockServer::start().await;
    for status in [301, 302, 307, 308] {
        let (server, github) = github().await;
        let moved = ResponseTemplate::new(status).insert_header("location", format!("{}/pulls", elsewhere.uri()));
        Mock::given(method("GET")).respond_with(moved).mount(&server).await;
        let error = github.open_for("slipway/a").await.unwrap_err();
        assert!(matches!(error, Error::Refused { status: found, .. } if found == status), "{error}");
        assert!(error.to_string().contains("git remote set-url"), "{error}");
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}
