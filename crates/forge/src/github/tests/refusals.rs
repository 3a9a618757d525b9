//! Errors that say what to do.

use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, ResponseTemplate};

use super::log::Log;
use super::{TOKEN, github};
use crate::{Credentials, Error, GitHub, PullRequest};

async fn refused(status: u16, body: Value) -> String {
    let (server, github) = github().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(status).set_body_json(body)).mount(&server).await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_body_json(json!([]))).mount(&server).await;
    let [branch, base, title, body] = ["slipway/a", "main", "Train", "plan"].map(str::to_owned);
    github
        .open_pull_request(&PullRequest { branch, base, title, body, ..PullRequest::default() })
        .await
        .unwrap_err()
        .to_string()
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    for (status, word) in
        [(401, "invalid or has expired"), (403, "contents: write"), (404, "does not exist"), (500, "later")]
    {
        let error = refused(status, json!({"message": "no"})).await;
        assert!(error.contains(word) && error.contains(&status.to_string()), "{error}");
    }
    for (message, words) in [
        ("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued", "clock"),
        ("'Expiration time' claim ('exp') is too far in the future", "clock"),
        ("A JSON web token could not be decoded", "private key"),
    ] {
        let error = refused(401, json!({ "message": message })).await;
        assert!(error.contains(message) && error.contains(words) && !error.contains("gh auth login"), "{error}");
    }
    let error = refused(403, json!({"message": "Resource protected by organization SAML enforcement."})).await;
    assert!(error.contains("single sign-on"), "{error}");
    let error = refused(307, json!({"message": "Moved Permanently", "url": "https://x"})).await;
    assert!(error.contains("git remote set-url"), "{error}");
}

#[tokio::test]
async fn advice_fits_the_reason() {
    for (detail, words) in [
        (json!({"message": "body is too long (maximum is 65536 characters)"}), "shorten"),
        (json!({"message": "No commits between main and slipway/a"}), "nothing is left to propose"),
        (json!({"resource": "PullRequest", "field": "head", "code": "invalid"}), "push the branch first"),
        (json!({"resource": "PullRequest", "field": "base", "code": "invalid"}), "default branch"),
        (json!("something new"), "GitHub's message says why"),
    ] {
        let error = refused(422, json!({"message": "Validation Failed", "errors": [detail]})).await;
        assert!(error.contains("Validation Failed") && error.contains(words), "{error}");
    }
    assert!(
        refused(422, json!({"message": "x", "errors": [{"message": "No commits between"}]}))
            .await
            .contains("x: No commits")
    );
}

#[tokio::test]
async fn an_answer_that_is_not_the_api_is_not_a_network_fault() {
    for body in ["<html>sign in</html>", "{\"number\": 7}", ""] {
        let (server, github) = github().await;
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_body_string(body)).mount(&server).await;
        let error = github.open_for("a").await.unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }) && error.is_unavailable(), "{error}");
        assert!(error.to_string().contains(&server.uri()) && !error.to_string().contains("cannot reach"), "{error}");
    }
    let (server, github) = github().await;
    let page = "<!DOCTYPE html>\n".to_owned() + &"x".repeat(100_000);
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(403).set_body_string(page)).mount(&server).await;
    let error = github.open_for("a").await.unwrap_err().to_string();
    assert!(error.contains("a web page") && error.len() < 1_000, "{error}");
}

#[tokio::test]
async fn an_unreachable_server_is_named_and_the_token_is_not() {
    let log = Log::start();
    let gone = GitHub::new("http://127.0.0.1:1", "octo", "cat", Credentials::token(TOKEN));
    let client = gone.client().await.unwrap();
    let asked = client.repos("octo", "cat").get().await.unwrap_err();
    let error = crate::github::refusal::explain("http://127.0.0.1:1", &asked);
    assert!(matches!(error, Error::Unreachable { .. }) && error.to_string().contains("http://127.0.0.1:1"), "{error}");
    assert!(error.to_string().contains("onnect"), "{error}");
    for text in [
        error.to_string(),
        format!("{error:?}"),
        format!("{asked:?}"),
        format!("{gone:?}"),
        format!("{client:?}"),
        log.text(),
    ] {
        assert!(!text.contains(TOKEN), "{text}");
    }
    assert!(GitHub::new("not a url", "octo", "cat", Credentials::token(TOKEN)).default_branch().await.is_err());
}
