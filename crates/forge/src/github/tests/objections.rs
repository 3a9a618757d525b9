//! What reviews, checks and rules say against a merge.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{github, pull};
use crate::{Approvals, Credentials, Error, Forge, GitHub, Objections, Opened, PullRequestState};

/// A pull request without anything against it.
fn overview() -> Value {
    json!({
        "number": 7, "url": "https://github.com/octo/cat/pull/7", "title": "Train", "body": "why", "state": "OPEN",
        "isDraft": true, "createdAt": "2026-11-25T00:00:00Z", "author": { "__typename": "Bot", "login": "slipway" },
        "labels": { "nodes": [{ "name": "training" }] },
        "reviewRequests": { "nodes": [{ "requestedReviewer": { "login": "ann" } }] },
        "headRefName": "topic", "headRefOid": "abc", "headRepository": { "nameWithOwner": "eve/cat" }, "isCrossRepository": true,
        "baseRefName": "main", "baseRef": { "refUpdateRule": null, "rules": { "nodes": [] } }, "mergeCommit": null,
        "commits": { "totalCount": 3, "nodes": [{ "commit": { "statusCheckRollup": null } }] },
        "reviewDecision": null, "latestOpinionatedReviews": { "nodes": [] },
        "mergeStateStatus": "CLEAN", "reviewThreads": { "totalCount": 0, "nodes": [] },
    })
}

fn review(login: &str, state: &str) -> Value {
    json!({ "state": state, "author": { "login": login } })
}

fn run(started: Option<&str>, name: &str, conclusion: Option<&str>) -> Value {
    json!({ "startedAt": started, "name": name, "conclusion": conclusion })
}

fn with_checks(overview: &mut Value, total: usize, nodes: &[Value]) {
    let rollup = json!({ "contexts": { "totalCount": total, "nodes": nodes } });
    overview["commits"]["nodes"][0]["commit"]["statusCheckRollup"] = rollup;
}

/// A server that answers so, once.
async fn server(answer: Value) -> (MockServer, GitHub) {
    let (server, github) = github().await;
    let variables = json!({ "variables": { "owner": "octo", "name": "cat", "number": 7 } });
    Mock::given(method("POST"))
        .and(path("/graphql"))
        .and(body_partial_json(variables))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .expect(1)
        .mount(&server)
        .await;
    (server, github)
}

async fn found(overview: Value, errors: Value) -> (Opened, Objections) {
    let data = json!({ "viewer": { "login": "hubot" }, "repository": { "pullRequest": overview } });
    let (_server, github) = server(json!({ "data": data, "errors": errors })).await;
    github.overview(7, "slipway").await.unwrap()
}

#[tokio::test]
async fn a_pull_request_is_the_one_that_the_other_api_describes() {
    let (opened, objections) = found(overview(), json!([])).await;
    assert_eq!(objections, Objections::default());
    let expected = Opened {
        number: 7,
        url: "https://github.com/octo/cat/pull/7".to_owned(),
        branch: "topic".to_owned(),
        title: "Train".to_owned(),
        head: "abc".to_owned(),
        state: PullRequestState::Open,
        base: "main".to_owned(),
        body: "why".to_owned(),
        author: "slipway[bot]".to_owned(),
        labels: vec!["training".to_owned()],
        reviewers: vec!["ann".to_owned()],
        is_draft: true,
        head_repository: Some("eve/cat".to_owned()),
        is_fork: true,
        merge_commit: None,
        commits: Some(3),
        opened_at: Some(1_795_564_800),
    };
    assert_eq!(opened, expected);

    let mut merged = overview();
    merged["state"] = "MERGED".into();
    merged["mergeCommit"] = json!({ "oid": "def" });
    let (opened, _) = found(merged, json!([])).await;
    assert_eq!((opened.state, opened.merge_commit.as_deref()), (PullRequestState::Merged, Some("def")));
}

/// Only a token that may read the organization is told of a team by this API: a person's is not told its name, a workflow's not even that it is one.
#[tokio::test]
async fn a_team_that_is_asked_for_its_review_is_named_by_the_first_api() {
    for (team, errors) in [
        (json!({}), json!([])),
        (
            Value::Null,
            json!([{
                "type": "FORBIDDEN", "message": "Resource not accessible by integration",
                "path": ["repository", "pullRequest", "reviewRequests", "nodes", 1, "requestedReviewer"],
            }]),
        ),
    ] {
        let mut asked = overview();
        let ann = json!({ "requestedReviewer": { "login": "ann" } });
        asked["reviewRequests"]["nodes"] = json!([ann, { "requestedReviewer": team }]);
        let data = json!({ "viewer": { "login": "hubot" }, "repository": { "pullRequest": asked } });
        let (server, github) = server(json!({ "data": data, "errors": errors })).await;
        let mut described = pull(7, "topic");
        described["requested_reviewers"] = json!([{ "login": "ann" }]);
        described["requested_teams"] = json!([{ "slug": "ml" }]);
        Mock::given(method("GET"))
            .and(path("/repos/octo/cat/pulls/7"))
            .respond_with(ResponseTemplate::new(200).set_body_json(described))
            .expect(1)
            .mount(&server)
            .await;
        let (opened, objections) = github.overview(7, "slipway").await.unwrap();
        assert_eq!(opened.reviewers, ["ann", "octo/ml"]);
        assert_eq!((opened.head.as_str(), objections), ("abc", Objections::default()));
    }
}

#[tokio::test]
async fn reviews_and_checks_that_hold_up_the_merge_are_named() {
    let mut blocked = overview();
    blocked["reviewDecision"] = "CHANGES_REQUESTED".into();
    blocked["latestOpinionatedReviews"]["nodes"] = json!([
        review("ann", "CHANGES_REQUESTED"),
        review("bob", "APPROVED"),
        review("cid", "CHANGES_REQUESTED"),
        review("dan", "DISMISSED"),
        { "state": "CHANGES_REQUESTED", "author": null },
    ]);
    let checks = [
        run(Some("2026-11-25T00:00:02Z"), "lint", Some("SUCCESS")),
        run(Some("2026-11-25T00:00:01Z"), "lint", Some("FAILURE")),
        run(Some("2026-11-25T00:00:01Z"), "test", Some("SUCCESS")),
        run(Some("2026-11-25T00:00:02Z"), "test", Some("TIMED_OUT")),
        run(Some("2026-11-25T00:00:01Z"), "again", Some("FAILURE")),
        // it waits, so it has not started
        run(None, "again", None),
        run(Some("2026-11-25T00:00:01Z"), "build", None),
        run(Some("2026-11-25T00:00:01Z"), "check", Some("CANCELLED")),
        run(Some("2026-11-25T00:00:01Z"), "optional", Some("SKIPPED")),
        run(Some("2026-11-25T00:00:01Z"), "slipway", Some("FAILURE")),
        json!({ "context": "ci/old", "state": "ERROR" }),
        json!({ "context": "ci/slow", "state": "PENDING" }),
        json!({ "context": "ci/good", "state": "SUCCESS" }),
    ];
    with_checks(&mut blocked, checks.len(), &checks);
    let (_, objections) = found(blocked, json!([])).await;
    assert_eq!(
        objections.texts(),
        [
            "ann, cid request changes",
            "the checks ci/old, test have failed",
            "the checks again, build, ci/slow have not ended"
        ]
    );
}

#[tokio::test]
async fn what_the_rules_of_the_base_branch_require_is_missing_until_it_is_there() {
    let mut ruled = overview();
    ruled["reviewDecision"] = "REVIEW_REQUIRED".into();
    ruled["latestOpinionatedReviews"]["nodes"] = json!([review("bob", "APPROVED")]);
    let protection = json!({ "requiredApprovingReviewCount": 1, "requiredStatusCheckContexts": ["lint", "slipway"] });
    ruled["baseRef"]["refUpdateRule"] = protection;
    ruled["baseRef"]["rules"]["nodes"] = json!([
        { "parameters": null },
        { "parameters": {} },
        { "parameters": { "requiredApprovingReviewCount": 3 } },
        { "parameters": { "requiredStatusChecks": [{ "context": "check" }, { "context": "test" }] } },
    ]);
    with_checks(&mut ruled, 1, &[run(Some("2026-11-25T00:00:01Z"), "check", Some("SUCCESS"))]);
    let (_, objections) = found(ruled.clone(), json!([])).await;
    assert_eq!(
        objections.texts(),
        ["2 approvals: the branch's rules require 3, and 1 is there", "the checks lint, test have not ended"]
    );

    // the number is there, but it is not those who must
    ruled["baseRef"]["rules"]["nodes"] = json!([]);
    let (_, objections) = found(ruled.clone(), json!([])).await;
    assert_eq!(objections.approvals, Some(Approvals { required: 1, given: 1 }));
    assert_eq!(objections.texts()[0], "an approval that the branch's rules require, such as a code owner's");

    ruled["reviewDecision"] = "APPROVED".into();
    with_checks(&mut ruled, 1, &[run(Some("2026-11-25T00:00:01Z"), "lint", Some("SUCCESS"))]);
    let (_, objections) = found(ruled, json!([])).await;
    assert_eq!(objections, Objections::default());
}

#[tokio::test]
async fn what_a_token_may_not_read_and_what_does_not_fit_is_said() {
    let at = |last: &str| json!(["repository", "pullRequest", "commits", "nodes", 0, "commit", last]);
    let message = "Resource not accessible by integration";
    let errors = json!([
        { "type": "FORBIDDEN", "message": message, "path": at("statusCheckRollup") },
        { "type": "FORBIDDEN", "message": message, "path": at("statusCheckRollup") },
        { "type": "FORBIDDEN", "message": message, "path": ["repository", "pullRequest", "baseRef", "rules"] },
        { "message": "Something went wrong" },
    ]);
    let (_, objections) = found(overview(), errors).await;
    assert_eq!(objections.texts(), [""; 0]);
    assert_eq!(
        objections.unknown,
        [
            "other checks are not known: Resource not accessible by integration",
            "reviews are not known: Something went wrong",
            "what the branch's rules require is not known: Resource not accessible by integration",
        ]
    );
    let mut many = overview();
    let checks: Vec<Value> = (0..6).map(|index| run(None, &format!("check-{index}"), Some("FAILURE"))).collect();
    with_checks(&mut many, 106, &checks);
    let (_, objections) = found(many, json!([])).await;
    assert_eq!(objections.texts(), ["the checks check-0, check-1, check-2, check-3 and 2 more have failed"]);
    assert_eq!(objections.unknown, ["100 of 106 checks are not known: GitHub lists 6"]);
}

#[tokio::test]
async fn open_conversations_and_an_old_base_hold_up_the_merge_where_the_rules_say_so() {
    let mut talked = overview();
    let thread = |is_resolved: bool| json!({ "isResolved": is_resolved });
    talked["reviewThreads"] = json!({ "totalCount": 3, "nodes": [thread(false), thread(true), thread(false)] });
    talked["mergeStateStatus"] = "BLOCKED".into();
    let (_, objections) = found(talked.clone(), json!([])).await;
    assert_eq!(objections, Objections::default());

    talked["mergeStateStatus"] = "BEHIND".into();
    talked["baseRef"]["rules"]["nodes"] = json!([{ "parameters": { "requiredReviewThreadResolution": true } }]);
    let (_, objections) = found(talked.clone(), json!([])).await;
    let behind = "its branch must be brought up to date with the base branch";
    assert_eq!(objections.texts(), ["2 conversations are not resolved", behind]);

    talked["baseRef"] = json!({ "refUpdateRule": { "requiresConversationResolution": true } });
    talked["reviewThreads"] = json!({ "totalCount": 102, "nodes": [thread(false), thread(true)] });
    let (_, objections) = found(talked, json!([])).await;
    assert_eq!(objections.texts(), ["a conversation is not resolved", behind]);
    assert_eq!(objections.unknown, ["100 of 102 conversations are not known: GitHub lists 2"]);
}

/// Nobody knows then whether a required check has begun, or how many of the approvals are there.
#[tokio::test]
async fn nothing_is_said_to_be_missing_that_may_only_be_unreadable() {
    let mut ruled = overview();
    ruled["reviewDecision"] = "REVIEW_REQUIRED".into();
    ruled["latestOpinionatedReviews"] = Value::Null;
    let protection = json!({ "requiredApprovingReviewCount": 2, "requiredStatusCheckContexts": ["lint"] });
    ruled["baseRef"]["refUpdateRule"] = protection;
    let fault =
        |part: &str| json!({ "type": "FORBIDDEN", "message": "no", "path": ["repository", "pullRequest", part] });
    let errors = json!([fault("statusCheckRollup"), fault("latestOpinionatedReviews")]);
    let (_, objections) = found(ruled, errors).await;
    assert_eq!(objections.texts(), ["an approval that the branch's rules require, such as a code owner's"]);
    assert_eq!(objections.unknown, ["other checks are not known: no", "reviews are not known: no"]);
}

/// What GitHub says of a query that names such a field, type or argument.
fn not_in_schema(code: &str, message: &str, below: &[&str]) -> Value {
    let mut path = vec!["query PullRequest", "repository", "pullRequest"];
    path.extend(below);
    json!({ "message": message, "path": path, "extensions": { "code": code }, "locations": [{ "line": 45, "column": 9 }] })
}

/// A server whose schema lacks a part answers nothing, and all that the query has of that part is a mistake.
#[tokio::test]
async fn an_older_server_is_asked_again_without_what_it_lacks() {
    let (server, github) = github().await;
    let queries = Arc::new(Mutex::new(Vec::new()));
    let asked = queries.clone();
    let mut known = overview();
    known["reviewDecision"] = "REVIEW_REQUIRED".into();
    Mock::given(method("POST"))
        .and(path("/graphql"))
        .respond_with(move |request: &Request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let query = body["query"].as_str().unwrap().to_owned();
            asked.lock().unwrap().push(query.clone());
            let rules = ["baseRef", "rules"];
            let parameters = ["baseRef", "rules", "nodes", "parameters", "... on PullRequestParameters"];
            let answer = if query.contains("rules(first: 100) {") {
                json!({ "errors": [
                    not_in_schema("undefinedField", "Field 'rules' doesn't exist on type 'Ref'", &rules),
                    not_in_schema("undefinedType", "No such type PullRequestParameters", &parameters),
                ] })
            } else if query.contains("writersOnly") {
                let message = "Field 'latestOpinionatedReviews' doesn't accept argument 'writersOnly'";
                let reviews = ["latestOpinionatedReviews", "writersOnly"];
                json!({ "errors": [not_in_schema("argumentNotAccepted", message, &reviews)] })
            } else {
                json!({ "data": { "viewer": null, "repository": { "pullRequest": known } } })
            };
            ResponseTemplate::new(200).set_body_json(answer)
        })
        .expect(3)
        .mount(&server)
        .await;
    let (opened, objections) = github.overview(7, "slipway").await.unwrap();
    assert_eq!(opened.number, 7);
    assert_eq!(objections.texts(), ["an approval that the branch's rules require, such as a code owner's"]);
    assert_eq!(
        objections.unknown,
        [
            "reviews are not known: Field 'latestOpinionatedReviews' doesn't accept argument 'writersOnly'",
            "what the branch's rules require is not known: Field 'rules' doesn't exist on type 'Ref'",
        ]
    );
    let queries = queries.lock().unwrap();
    let last = &queries[2];
    assert_eq!(last.matches('{').count(), last.matches('}').count(), "{last}");
    for (field, is_there) in [
        ("baseRef {", true),
        ("refUpdateRule {", true),
        ("rules(", false),
        ("PullRequestParameters", false),
        ("reviewDecision\n", true),
        ("latestOpinionatedReviews", false),
    ] {
        assert_eq!(last.contains(field), is_there, "{field} in {last}");
    }
}

#[tokio::test]
async fn a_server_that_lacks_what_cannot_be_left_out_is_not_asked_again_later() {
    let message = "Field 'isDraft' doesn't exist on type 'PullRequest'";
    let (_server, github) = server(json!({ "errors": [not_in_schema("undefinedField", message, &["isDraft"])] })).await;
    let error = github.overview(7, "slipway").await.unwrap_err().to_string();
    assert!(error.contains(message) && error.contains("a newer version"), "{error}");
    assert!(!error.contains("later"), "{error}");
}

#[tokio::test]
async fn a_pull_request_that_is_not_there_is_an_error_that_says_why() {
    let error = async |data: Value, kind: Option<&str>| {
        let errors = json!([{ "type": kind, "message": "no", "path": null }]);
        let (_server, github) = server(json!({ "data": data, "errors": errors })).await;
        github.overview(7, "slipway").await.unwrap_err()
    };
    let without = json!({ "viewer": null, "repository": { "pullRequest": null } });
    assert!(matches!(error(without.clone(), Some("NOT_FOUND")).await, Error::NoPullRequest(7)));
    let refused = error(json!({ "repository": null }), Some("NOT_FOUND")).await;
    assert_eq!(refused.status(), Some(404), "{refused}");
    for kind in ["FORBIDDEN", "INSUFFICIENT_SCOPES"] {
        assert_eq!(error(without.clone(), Some(kind)).await.status(), Some(403));
    }
    let failed = error(Value::Null, None).await;
    assert!(failed.to_string().ends_with("no; try again later"), "{failed}");
    let limited = error(Value::Null, Some("RATE_LIMITED")).await;
    assert!(matches!(limited, Error::RateLimited { .. }), "{limited}");

    let (_server, github) = server(json!({ "data": without })).await;
    let error = github.overview(7, "slipway").await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn an_enterprise_server_has_the_other_api_beside_the_first() {
    let server = MockServer::start().await;
    let data = json!({ "viewer": { "login": "hubot" }, "repository": { "pullRequest": overview() } });
    Mock::given(method("POST"))
        .and(path("/api/graphql"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "data": data })))
        .expect(1)
        .mount(&server)
        .await;
    let api = format!("{}/api/v3", server.uri());
    let forge = Forge::GitHub(GitHub::new(&api, "octo", "cat", Credentials::token(super::TOKEN)));
    let (opened, _) = forge.overview(7, "slipway").await.unwrap();
    assert_eq!(opened.number, 7);
    // who asks is known from the same answer, so nobody is asked again
    let Forge::GitHub(github) = forge else { unreachable!("it is GitHub") };
    assert_eq!(github.login().await.unwrap(), "hubot");
}
