//! Opening pull requests, and finding those that are open.

use serde_json::json;
use wiremock::matchers::{bearer_token, body_json, header, method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use super::{TOKEN, github, pull};
use crate::{Credentials, Error, GitHub, PullRequest};

fn request() -> PullRequest {
    let [branch, base, title, body] = ["slipway/a", "trunk", "Train", "plan"].map(str::to_owned);
    PullRequest { branch, base, title, body, ..PullRequest::default() }
}

#[tokio::test]
async fn a_pull_request_is_opened_against_its_base() {
    let (server, github) = github().await;
    Mock::given(method("POST"))
        .and(path("/repos/octo/cat/pulls"))
        .and(bearer_token(TOKEN))
        .and(header("X-GitHub-Api-Version", "2022-11-28"))
        .and(body_json(json!({"head": "slipway/a", "base": "trunk", "title": "Train", "body": "plan"})))
        .respond_with(ResponseTemplate::new(201).set_body_json(pull(7, "slipway/a")))
        .expect(1)
        .mount(&server)
        .await;
    let opened = github.open_pull_request(&request()).await.unwrap();
    assert_eq!((opened.number, opened.is_open(), opened.head.as_str()), (7, true, "abc"));
    assert_eq!(opened.url, "https://github.com/octo/cat/pull/7");
    assert_eq!(github.name(), "octo/cat");
}

#[tokio::test]
async fn an_enterprise_server_has_its_api_below_a_path() {
    let (server, _) = github().await;
    let github = GitHub::new(&format!("{}/api/v3/", server.uri()), "octo", "cat", Credentials::token(TOKEN));
    Mock::given(method("GET"))
        .and(path("/api/v3/repos/octo/cat"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"id": 1, "name": "cat", "url": "https://x/y", "default_branch": "trunk"})),
        )
        .mount(&server)
        .await;
    assert_eq!(github.default_branch().await.unwrap(), "trunk");
}

#[tokio::test]
async fn one_that_is_open_already_is_found() {
    // 422 says so; with 502 GitHub may have made it
    for status in [422, 502] {
        let (server, github) = github().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(status).set_body_json(json!({"message": "Validation Failed"})))
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .and(query_param("head", "octo:slipway/a"))
            .and(query_param("state", "open"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!([pull(7, "slipway/a")])))
            .mount(&server)
            .await;
        assert_eq!(github.open_pull_request(&request()).await.unwrap().number, 7);
    }
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_not_repeated() {
    let (server, github) = github().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(502)).expect(1).mount(&server).await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
        .expect(1)
        .mount(&server)
        .await;
    let error = github.open_pull_request(&request()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 502, .. }), "{error}");
}

#[tokio::test]
async fn every_page_is_looked_at() {
    let (server, github) = github().await;
    let first: Vec<_> = (1..=100).map(|number| pull(number, &format!("other/{number}"))).collect();
    // the address that GitHub gives may name another host: no request goes there
    let next = "<https://api.elsewhere.example/repositories/1/pulls?page=2>; rel=\"next\"";
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/pulls"))
        .and(query_param("per_page", "100"))
        .respond_with(ResponseTemplate::new(200).set_body_json(first).insert_header("link", next))
        .expect(2)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/repositories/1/pulls"))
        .and(query_param("page", "2"))
        .and(bearer_token(TOKEN))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([pull(101, "slipway/a")])))
        .expect(2)
        .mount(&server)
        .await;
    assert_eq!(github.open_for("slipway/a").await.unwrap().unwrap().number, 101);
    assert!(github.open_for("slipway/b").await.unwrap().is_none());
}

#[tokio::test]
async fn a_text_that_is_too_long_is_shortened() {
    let (server, github) = github().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(201).set_body_json(pull(7, "slipway/a")))
        .mount(&server)
        .await;
    let request = PullRequest { body: "| 1,000 TrainJobs |\n".repeat(10_000), title: "x".repeat(1_000), ..request() };
    github.open_pull_request(&request).await.unwrap();
    let sent: serde_json::Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert!(sent["body"].as_str().unwrap().chars().count() <= 65_536);
    assert!(sent["title"].as_str().unwrap().chars().count() <= 256);
}

#[tokio::test]
async fn a_commit_has_the_pull_request_that_was_merged_as_it() {
    let (server, github) = github().await;
    let merged = |number: u64, commit: &str| {
        let mut pull = pull(number, "slipway/a");
        pull["state"] = "closed".into();
        pull["merged_at"] = "2026-11-25T00:00:00Z".into();
        pull["merge_commit_sha"] = commit.into();
        pull
    };
    // an open one that holds the commit, one that was merged into another branch, and the one
    for (commit, pulls, number) in [
        ("c0ffee", json!([pull(5, "slipway/a"), merged(6, "decade"), merged(7, "c0ffee")]), Some(7)),
        ("facade", json!([pull(5, "slipway/a"), merged(8, "decade")]), Some(8)),
        ("beaded", json!([pull(5, "slipway/a")]), None),
    ] {
        Mock::given(method("GET"))
            .and(path(format!("/repos/octo/cat/commits/{commit}/pulls")))
            .and(bearer_token(TOKEN))
            .respond_with(ResponseTemplate::new(200).set_body_json(pulls))
            .expect(1)
            .mount(&server)
            .await;
        let found = github.pull_request_of(commit).await.unwrap();
        assert_eq!(found.map(|opened| opened.number), number, "{commit}");
    }
}
