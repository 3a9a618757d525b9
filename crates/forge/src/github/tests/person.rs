//! Acting as a person, and the token that git needs.

use serde_json::{Value, json};
use wiremock::matchers::{bearer_token, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::apps::{KEY, server};
use super::log::Log;
use super::{TOKEN, github, pull};
use crate::{Credentials, Error, GitHub, PullRequest};

/// A person's token, which no error and no log may show.
const ANN: &str = "ghp_anns_own";

async fn answers(server: &MockServer, verb: &str, at: &str, token: &str, status: u16, body: Value) {
    Mock::given(method(verb))
        .and(path(at))
        .and(bearer_token(token))
        .respond_with(ResponseTemplate::new(status).set_body_json(body))
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_pull_request_is_opened_as_the_person_who_asks() {
    let (server, github) = github().await;
    answers(&server, "GET", "/user", ANN, 200, json!({"login": "ann"})).await;
    answers(&server, "POST", "/repos/octo/cat/pulls", ANN, 201, pull(7, "slipway/a")).await;
    answers(&server, "POST", "/repos/octo/cat/pulls", TOKEN, 201, pull(8, "slipway/b")).await;
    let ann = github.acting_as(ANN).unwrap();
    for _ in 0..2 {
        assert_eq!(ann.login().await.unwrap(), "ann");
    }
    let request = |branch: &str| PullRequest { branch: branch.to_owned(), ..PullRequest::default() };
    assert_eq!(ann.open_pull_request(&request("slipway/a")).await.unwrap().number, 7);
    // the service itself asks with its own token as before
    assert_eq!(github.open_pull_request(&request("slipway/b")).await.unwrap().number, 8);
    let asked = server.received_requests().await.unwrap();
    assert_eq!(asked.iter().filter(|request| request.url.path() == "/user").count(), 1);
    assert_eq!(ann.name(), "octo/cat");
}

#[tokio::test]
async fn a_token_that_is_wrong_or_may_not_do_it_is_told_apart() {
    let log = Log::start();
    let (server, github) = github().await;
    let ann = github.acting_as(ANN).unwrap();
    let refusals = [
        (401, "Bad credentials", "invalid or has expired"),
        (403, "Resource not accessible by integration", "not a person's"),
    ];
    for (status, message, words) in refusals {
        let refused = Mock::given(path("/user"))
            .respond_with(ResponseTemplate::new(status).set_body_json(json!({"message": message})));
        let guard = refused.mount_as_scoped(&server).await;
        let error = ann.login().await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
        let shown = format!("{error} {error:?} {ann:?}");
        assert!(shown.contains(message) && shown.contains(words) && !shown.contains(ANN), "{shown}");
        drop(guard);
    }
    for (status, message, words) in [
        (403, "Resource not accessible by personal access token", "contents: write"),
        (404, "Not Found", "may not see it"),
    ] {
        let refused = Mock::given(path("/repos/octo/cat/pulls"))
            .respond_with(ResponseTemplate::new(status).set_body_json(json!({"message": message})));
        let guard = refused.mount_as_scoped(&server).await;
        let error = ann.open_pull_request(&PullRequest::default()).await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        drop(guard);
    }
    assert!(!log.text().contains(ANN));
}

#[test]
fn what_cannot_be_a_token_is_not_sent() {
    let github = GitHub::new("https://api.github.com", "octo", "cat", Credentials::token(TOKEN));
    for wrong in ["", "a b", "a\nb", "a\r\nX-Header: b", "t\u{f6}ken", &"x".repeat(1025)] {
        let error = github.acting_as(wrong).unwrap_err();
        assert!(matches!(error, Error::NotAToken) && error.status().is_none(), "{error}");
    }
    assert!(github.acting_as(ANN).is_ok());
}

#[tokio::test]
async fn git_gets_the_token_that_is_valid_now() {
    for credentials in [Credentials::token(TOKEN), Credentials::Runner(TOKEN.into())] {
        let github = GitHub::new("http://127.0.0.1:1", "octo", "cat", credentials);
        assert_eq!(github.token().await.unwrap().expose(), TOKEN);
    }
    // an app's is asked for once while it is valid, and again when it is about to expire
    for (minutes, tokens) in [(60, 1), (0, 3)] {
        let server = server(minutes, tokens, 0).await;
        let github = GitHub::new(&server.uri(), "octo", "cat", Credentials::app(12, &KEY).unwrap());
        for _ in 0..3 {
            assert_eq!(github.token().await.unwrap().expose(), "ghs_secret");
        }
    }
}

#[tokio::test]
async fn whoever_only_reads_is_nobody() {
    let (server, _) = github().await;
    let nobody = GitHub::new(&server.uri(), "octo", "cat", Credentials::Anonymous);
    let refused = ResponseTemplate::new(401).set_body_json(json!({"message": "Requires authentication"}));
    Mock::given(path("/user")).respond_with(refused).mount(&server).await;
    assert!(nobody.is_anonymous() && !nobody.acting_as(ANN).unwrap().is_anonymous());
    assert_eq!(nobody.login().await.unwrap_err().status(), Some(401));
    assert!(matches!(nobody.token().await, Err(Error::NoToken { .. })));
    let asked = server.received_requests().await.unwrap();
    assert!(!asked.is_empty() && asked.iter().all(|request| !request.headers.contains_key("authorization")));
}
