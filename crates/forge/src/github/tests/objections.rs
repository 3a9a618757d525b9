//! What reviews and checks say against a merge.

use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{github, pull};
use crate::{GitHub, Objections};

fn review(login: &str, state: &str, association: &str) -> Value {
    json!({"user": {"login": login}, "state": state, "author_association": association, "body": "why"})
}

fn run(id: u64, name: &str, conclusion: &Value) -> Value {
    json!({"id": id, "name": name, "status": "completed", "conclusion": conclusion, "app": {"slug": "github-actions"}})
}

async fn objections(server: &MockServer, github: &GitHub, reviews: ResponseTemplate, runs: &[Value]) -> Objections {
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/pulls/7/reviews"))
        .respond_with(reviews)
        .expect(1)
        .mount(server)
        .await;
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/commits/abc/check-runs"))
        .and(query_param("filter", "latest"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"total_count": runs.len(), "check_runs": runs})))
        .expect(1)
        .mount(server)
        .await;
    let opened = github.opened(serde_json::from_value(pull(7, "topic")).unwrap()).unwrap();
    github.objections(&opened, "slipway").await.unwrap()
}

#[tokio::test]
async fn the_latest_decision_of_each_reviewer_and_the_newest_run_of_each_check_count() {
    let (server, github) = github().await;
    let reviews = json!([
        review("ann", "CHANGES_REQUESTED", "MEMBER"),
        review("bob", "CHANGES_REQUESTED", "OWNER"),
        review("bob", "APPROVED", "OWNER"),
        review("cid", "APPROVED", "COLLABORATOR"),
        review("cid", "CHANGES_REQUESTED", "COLLABORATOR"),
        // a comment takes nothing back, a dismissal does
        review("ann", "COMMENTED", "MEMBER"),
        review("dan", "CHANGES_REQUESTED", "MEMBER"),
        review("dan", "DISMISSED", "MEMBER"),
        // somebody who has nothing to do with the repository
        review("eve", "CHANGES_REQUESTED", "NONE"),
        json!({"user": null, "state": "CHANGES_REQUESTED"}),
    ]);
    let runs = [
        run(1, "lint", &json!("failure")),
        run(2, "lint", &json!("success")),
        run(4, "test", &json!("timed_out")),
        run(3, "test", &json!("success")),
        run(5, "check", &json!("cancelled")),
        run(6, "build", &json!(null)),
        run(7, "slipway", &json!("failure")),
    ];
    let found = objections(&server, &github, ResponseTemplate::new(200).set_body_json(reviews), &runs).await;
    assert_eq!(found.texts(), ["ann requests changes", "cid requests changes", "the check test has failed"]);
}

#[tokio::test]
async fn what_a_token_may_not_read_is_said() {
    let (server, github) = github().await;
    let refused =
        ResponseTemplate::new(403).set_body_json(json!({"message": "Resource not accessible by integration"}));
    let found = objections(&server, &github, refused, &[run(1, "lint", &json!("failure"))]).await;
    assert_eq!(
        found.texts(),
        ["the check lint has failed", "reviews are not known: Resource not accessible by integration"]
    );
}
