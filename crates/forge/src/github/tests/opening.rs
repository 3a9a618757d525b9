//! Drafts, labels and reviewers.

use serde_json::json;
use wiremock::matchers::{body_json, body_partial_json, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::log::Log;
use super::{github, pull};
use crate::PullRequest;

fn request() -> PullRequest {
    let [branch, base, title, body] = ["slipway/a", "main", "Train", "plan"].map(str::to_owned);
    let labels = vec!["training".to_owned(), "gpu".to_owned()];
    let reviewers = ["mona", "octo/ml", "hubot"].map(str::to_owned).to_vec();
    PullRequest { branch, base, title, body, draft: false, labels, reviewers }
}

/// A request that has this opens one pull request.
async fn opened_by(server: &MockServer, has: serde_json::Value) {
    Mock::given(method("POST"))
        .and(path("/repos/octo/cat/pulls"))
        .and(body_partial_json(has))
        .respond_with(ResponseTemplate::new(201).set_body_json(pull(7, "slipway/a")))
        .expect(1)
        .mount(server)
        .await;
}

async fn asked_for(server: &MockServer, body: serde_json::Value, status: u16) {
    Mock::given(method("POST"))
        .and(path("/repos/octo/cat/pulls/7/requested_reviewers"))
        .and(body_json(body))
        .respond_with(match status {
            201 => ResponseTemplate::new(201).set_body_json(pull(7, "slipway/a")),
            status => ResponseTemplate::new(status).set_body_json(json!({"message": "Reviews may only be requested"})),
        })
        .expect(1)
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_reviewer_who_may_not_be_asked_keeps_nobody_else_from_it() {
    let (server, github) = github().await;
    let log = Log::start();
    opened_by(&server, json!({"head": "slipway/a"})).await;
    Mock::given(method("POST"))
        .and(path("/repos/octo/cat/issues/7/labels"))
        .and(body_json(json!({"labels": ["training", "gpu"]})))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([{"name": "training"}, {"name": "gpu"}])))
        .expect(1)
        .mount(&server)
        .await;
    asked_for(&server, json!({"reviewers": ["mona", "hubot"], "team_reviewers": ["ml"]}), 422).await;
    asked_for(&server, json!({"reviewers": ["mona"], "team_reviewers": []}), 422).await;
    asked_for(&server, json!({"reviewers": [], "team_reviewers": ["ml"]}), 201).await;
    asked_for(&server, json!({"reviewers": ["hubot"], "team_reviewers": []}), 201).await;
    let opened = github.open_pull_request(&request()).await.unwrap();
    assert_eq!(opened.labels, ["training", "gpu"]);
    assert!(log.text().contains("WARN") && log.text().contains("mona is not asked to review pull request #7"));
    assert!(!log.text().contains("hubot is not"));
}

#[tokio::test]
async fn nobody_is_asked_to_review_a_draft() {
    let (server, github) = github().await;
    opened_by(&server, json!({"draft": true, "head": "slipway/a"})).await;
    Mock::given(method("POST"))
        .and(path("/repos/octo/cat/issues/7/labels"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([{"name": "training"}, {"name": "gpu"}])))
        .expect(1)
        .mount(&server)
        .await;
    let draft = PullRequest { draft: true, ..request() };
    assert_eq!(github.open_pull_request(&draft).await.unwrap().labels, ["training", "gpu"]);
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn one_that_a_hundred_newer_ones_hide_is_found() {
    let (server, github) = github().await;
    let open = |number: u64, branch: &str| {
        let mut open = pull(number, branch);
        open["labels"] = json!([{"name": "training"}, {"name": "gpu"}]);
        open
    };
    let newer: Vec<_> = (0..100).map(|index| open(200 - index, &format!("topic-{index}"))).collect();
    for (page, pulls) in [("1", json!(newer)), ("2", json!([open(7, "slipway/a-1")]))] {
        Mock::given(method("GET"))
            .and(path("/repos/octo/cat/pulls"))
            .and(query_param("page", page))
            .respond_with(ResponseTemplate::new(200).set_body_json(pulls))
            .mount(&server)
            .await;
    }
    let request = PullRequest { reviewers: Vec::new(), ..request() };
    let found = async |name: &str| {
        let is_it = |opened: &crate::Opened| opened.branch.starts_with(name);
        github.resume_first(&request, is_it).await.unwrap().map(|opened| opened.number)
    };
    assert_eq!(found("slipway/a-").await, Some(7));
    assert_eq!(found("topic-3").await, Some(161), "the oldest of the first page that has one");
    assert_eq!(found("slipway/c-").await, None);
    assert_eq!(server.received_requests().await.unwrap().len(), 2 + 1 + 2);
}

#[tokio::test]
async fn one_that_is_open_gets_only_what_it_lacks() {
    let (server, github) = github().await;
    let mut open = pull(7, "slipway/a");
    open["labels"] = json!([{"name": "Training"}, {"name": "gpu"}]);
    open["requested_teams"] = json!([{"slug": "ml", "name": "ML"}]);
    Mock::given(method("POST"))
        .and(path("/repos/octo/cat/pulls"))
        .respond_with(ResponseTemplate::new(422).set_body_json(json!({"message": "Validation Failed"})))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/pulls"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([open])))
        .mount(&server)
        .await;
    // whoever has reviewed it is not asked again, and nor is a user who is gone
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/pulls/7/reviews"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([
            {"user": null, "state": "COMMENTED"}, {"user": {"login": "mona"}}, {"user": {"login": "HuBot"}}
        ])))
        .mount(&server)
        .await;
    assert_eq!(github.open_pull_request(&request()).await.unwrap().number, 7);
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn the_oldest_one_that_is_meant_is_found_in_one_page_of_open_ones() {
    let (server, github) = github().await;
    let open = |number: u64, branch: &str, repository: &str| {
        let mut open = pull(number, branch);
        open["labels"] = json!([{"name": "training"}, {"name": "gpu"}]);
        open["head"]["repo"] = json!({ "full_name": repository });
        open["base"]["repo"] = json!({"full_name": "octo/cat"});
        open
    };
    let all = [(9, "slipway/b"), (8, "slipway/a-2"), (7, "slipway/a-1")].map(|(n, branch)| open(n, branch, "octo/cat"));
    let all = [&all[..], &[open(6, "slipway/a-0", "mallory/cat")]].concat();
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/pulls"))
        .and(query_param("state", "open"))
        .and(query_param("direction", "desc"))
        .and(query_param("per_page", "100"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!(all)))
        .mount(&server)
        .await;
    let request = PullRequest { reviewers: Vec::new(), ..request() };
    let found = async |name: &str| {
        let is_it = |opened: &crate::Opened| !opened.is_fork && opened.branch.starts_with(name);
        github.resume_first(&request, is_it).await.unwrap().map(|opened| opened.number)
    };
    assert_eq!(found("slipway/a-").await, Some(7));
    assert_eq!(found("slipway/c-").await, None);
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn nobody_is_asked_who_cannot_be() {
    let (server, github) = github().await;
    let mut mine = pull(7, "slipway/a");
    mine["user"] = json!({"login": "Mona"});
    mine["labels"] = json!([{"name": "training"}, {"name": "gpu"}]);
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/pulls"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([mine])))
        .mount(&server)
        .await;
    let reviewers = ["mona", "elsewhere/ml"].map(str::to_owned).to_vec();
    let request = PullRequest { reviewers, ..request() };
    assert_eq!(github.resume(&request).await.unwrap().map(|opened| opened.number), Some(7));
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_label_that_is_refused_is_no_failure() {
    let (server, github) = github().await;
    let log = Log::start();
    Mock::given(path("/repos/octo/cat/pulls"))
        .respond_with(ResponseTemplate::new(201).set_body_json(pull(7, "slipway/a")))
        .mount(&server)
        .await;
    Mock::given(path("/repos/octo/cat/issues/7/labels"))
        .respond_with(ResponseTemplate::new(403).set_body_json(json!({"message": "Resource not accessible"})))
        .mount(&server)
        .await;
    let request = PullRequest { reviewers: Vec::new(), ..request() };
    assert!(github.open_pull_request(&request).await.unwrap().labels.is_empty());
    assert!(log.text().contains("pull request #7 has not got its labels"));
}
