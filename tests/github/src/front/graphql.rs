//! GitHub's other API, for the one query that this project has: a pull request with its reviews, its checks, and the rules of its base branch.
//! It is answered from what emulate says of the same by REST, and all fields of the query are there. Everything else is a mistake.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Asked, pulls, refused};
use crate::accounts::{Account, REPOSITORY};
use crate::emulator::Answer;
use crate::server::Inner;

/// Where an Enterprise server has it.
pub(super) const PATH: &str = "/api/graphql";

/// Answers the query.
pub(super) async fn answer(asked: &Asked<'_>, inner: &Inner) -> Result<Answer> {
    let body = asked.json();
    let query = body["query"].as_str().unwrap_or_default();
    let begin = query.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
    ensure!(begin.starts_with("query PullRequest("), "not the query that is known here: {query}");
    let of = format!("{}/{}", text(&body["variables"]["owner"]), text(&body["variables"]["name"]));
    ensure!(of == REPOSITORY, "{of} is not known here");
    if asked.account == Account::Nobody {
        return Ok(refused(StatusCode::UNAUTHORIZED, "This endpoint requires you to be authenticated."));
    }
    if query.contains("on Team") {
        let message = "Your token has not been granted the required scopes to execute this query.";
        let errors = [json!({ "type": "INSUFFICIENT_SCOPES", "message": message })];
        return Ok(Answer::of(StatusCode::OK, &json!({ "errors": errors })));
    }
    let number = &body["variables"]["number"];
    let pull = read(asked, inner, &format!("/pulls/{number}")).await?;
    if !pull.status.is_success() {
        let message = format!("Could not resolve to a PullRequest with the number of {number}.");
        let error = json!({ "type": "NOT_FOUND", "path": ["repository", "pullRequest"], "message": message });
        let data = json!({ "viewer": viewer(asked), "repository": { "pullRequest": null } });
        return Ok(Answer::of(StatusCode::OK, &json!({ "data": data, "errors": [error] })));
    }
    let mut pull = pull.json();
    pulls::correct(asked.state, inner, &mut pull).await?;
    let reviews = opinionated(&read(asked, inner, &format!("/pulls/{number}/reviews?per_page=100")).await?.json());
    let mut errors = Vec::new();
    let rollup = if may_read(asked, "checks") && may_read(asked, "statuses") {
        let head = text(&pull["head"]["sha"]);
        rollup(&read(asked, inner, &format!("/commits/{head}/check-runs?per_page=100")).await?.json())
    } else {
        let path = json!(["repository", "pullRequest", "commits", "nodes", 0, "commit", "statusCheckRollup"]);
        let message = "Resource not accessible by integration";
        errors.push(json!({ "type": "FORBIDDEN", "path": path, "message": message }));
        Value::Null
    };
    let data = json!({
        "viewer": viewer(asked),
        "repository": { "pullRequest": described(&pull, &reviews, &rollup, inner) },
    });
    let mut answer = json!({ "data": data });
    if !errors.is_empty() {
        answer["errors"] = errors.into();
    }
    Ok(Answer::of(StatusCode::OK, &answer))
}

/// What emulate says of the repository.
async fn read(asked: &Asked<'_>, inner: &Inner, path: &str) -> Result<Answer> {
    asked.ask(inner, &Method::GET, &format!("/repos/{REPOSITORY}{path}"), Bytes::new()).await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn viewer(asked: &Asked<'_>) -> Value {
    match &asked.account {
        Account::Person(login) => json!({ "login": login }),
        Account::Job(_) | Account::App | Account::Nobody => Value::Null,
    }
}

/// Whether the token may read such things. A person may.
fn may_read(asked: &Asked<'_>, what: &str) -> bool {
    match &asked.account {
        Account::Job(permissions) => permissions.contains_key(what),
        Account::Person(_) | Account::App | Account::Nobody => true,
    }
}

/// The latest decision of each reviewer. A comment is none.
fn opinionated(reviews: &Value) -> BTreeMap<String, String> {
    let all = reviews.as_array().into_iter().flatten();
    let decisions =
        all.filter(|review| matches!(text(&review["state"]), "APPROVED" | "CHANGES_REQUESTED" | "DISMISSED"));
    decisions.map(|review| (text(&review["user"]["login"]).to_owned(), text(&review["state"]).to_owned())).collect()
}

/// The checks of a commit; null without any.
fn rollup(runs: &Value) -> Value {
    let runs = runs["check_runs"].as_array().cloned().unwrap_or_default();
    if runs.is_empty() {
        return Value::Null;
    }
    let conclusion = |run: &Value| run["conclusion"].as_str().map(str::to_uppercase);
    let check =
        |run: &Value| json!({ "startedAt": run["started_at"], "name": run["name"], "conclusion": conclusion(run) });
    json!({ "contexts": { "totalCount": runs.len(), "nodes": runs.iter().map(check).collect::<Vec<_>>() } })
}

fn described(pull: &Value, reviews: &BTreeMap<String, String>, rollup: &Value, inner: &Inner) -> Value {
    let (approvals, checks) = &inner.required;
    let approved = reviews.values().filter(|state| *state == "APPROVED").count();
    let decision = match approvals {
        _ if reviews.values().any(|state| state == "CHANGES_REQUESTED") => json!("CHANGES_REQUESTED"),
        0 => Value::Null,
        required if approved < *required => json!("REVIEW_REQUIRED"),
        _ => json!("APPROVED"),
    };
    let rules: Vec<Value> = match (approvals, checks.as_slice()) {
        (0, []) => Vec::new(),
        _ => vec![
            json!({ "parameters": { "requiredApprovingReviewCount": approvals, "requiredReviewThreadResolution": false } }),
            // a rule of another kind, of which nothing is asked
            json!({ "parameters": {} }),
            json!({ "parameters": { "requiredStatusChecks": checks.iter().map(|name| json!({ "context": name })).collect::<Vec<_>>() } }),
        ],
    };
    let each = |key: &str| pull[key].as_array().cloned().unwrap_or_default();
    let users = each("requested_reviewers").into_iter().map(|user| json!({ "login": user["login"] }));
    // nothing is asked of a team, because no token here may read one
    let teams = each("requested_teams").into_iter().map(|_| json!({}));
    let requests: Vec<Value> = users.chain(teams).map(|one| json!({ "requestedReviewer": one })).collect();
    let labels: Vec<Value> = each("labels").iter().map(|label| json!({ "name": label["name"] })).collect();
    let login = text(&pull["user"]["login"]);
    let author = match login.strip_suffix("[bot]") {
        Some(app) => json!({ "__typename": "Bot", "login": app }),
        None => json!({ "__typename": "User", "login": login }),
    };
    let is_merged = pull["merged_at"].is_string();
    let state = if is_merged { "MERGED".to_owned() } else { text(&pull["state"]).to_uppercase() };
    let commit = is_merged.then(|| json!({ "oid": pull["merge_commit_sha"] }));
    let head = &pull["head"]["repo"]["full_name"];
    let decisions = reviews.iter().map(|(login, state)| json!({ "state": state, "author": { "login": login } }));
    json!({
        "number": pull["number"], "url": pull["html_url"], "title": pull["title"], "body": text(&pull["body"]),
        "state": state, "isDraft": pull["draft"].as_bool().unwrap_or_default(), "createdAt": pull["created_at"],
        "author": author, "labels": { "nodes": labels }, "reviewRequests": { "nodes": requests },
        "headRefName": pull["head"]["ref"], "headRefOid": pull["head"]["sha"],
        "headRepository": { "nameWithOwner": head }, "isCrossRepository": head != REPOSITORY,
        "baseRefName": pull["base"]["ref"],
        "baseRef": { "name": pull["base"]["ref"], "refUpdateRule": null, "rules": { "nodes": rules } },
        "mergeCommit": commit, "reviewDecision": decision, "mergeStateStatus": "UNKNOWN",
        "reviewThreads": { "totalCount": 0, "nodes": [] },
        "commits": { "totalCount": pull["commits"], "nodes": [{ "commit": { "oid": pull["head"]["sha"], "statusCheckRollup": rollup } }] },
        "latestOpinionatedReviews": { "nodes": decisions.collect::<Vec<_>>() },
    })
}
