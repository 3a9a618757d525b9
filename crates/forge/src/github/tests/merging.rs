//! Merging and closing.

use serde_json::{Value, json};
use wiremock::matchers::{body_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{github, pull};
use crate::{Error, GitHub, MergeMethod};

/// Answers to merges in this order, each once, and to the question how pull request 7 is.
async fn answers(server: &MockServer, merges: &[(u16, Value)], now: Value) {
    for (status, body) in merges {
        Mock::given(method("PUT"))
            .and(path("/repos/octo/cat/pulls/7/merge"))
            .and(body_json(json!({"merge_method": "squash", "sha": "abc"})))
            .respond_with(ResponseTemplate::new(*status).set_body_json(body))
            .up_to_n_times(1)
            .expect(1)
            .mount(server)
            .await;
    }
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/pulls/7"))
        .respond_with(ResponseTemplate::new(200).set_body_json(now))
        .mount(server)
        .await;
}

async fn merge(merges: &[(u16, Value)], now: Value) -> crate::Result<String> {
    let (server, github): (_, GitHub) = github().await;
    answers(&server, merges, now).await;
    github.merge(7, MergeMethod::Squash, "abc").await
}

fn with(fields: &[(&str, Value)]) -> Value {
    let mut pull = pull(7, "slipway/a");
    for (name, value) in fields {
        pull[*name] = value.clone();
    }
    pull
}

fn merged() -> Value {
    with(&[
        ("state", "closed".into()),
        ("merged_at", "2026-11-25T00:00:00Z".into()),
        ("merge_commit_sha", "c0ffee".into()),
    ])
}

fn says(message: &str) -> Value {
    json!({ "message": message })
}

#[tokio::test]
async fn a_merge_gives_the_new_commit() {
    let answer = json!({"sha": "c0ffee", "merged": true, "message": "Pull Request successfully merged"});
    assert_eq!(merge(&[(200, answer)], Value::Null).await.unwrap(), "c0ffee");
}

#[tokio::test]
async fn one_that_is_merged_already_stays_so() {
    let refused = (405, says("Pull Request is not mergeable"));
    // also if the answer to the merge was lost
    for merges in [&[refused.clone()][..], &[(502, says("")), refused]] {
        assert_eq!(merge(merges, merged()).await.unwrap(), "c0ffee");
    }
}

#[tokio::test]
async fn a_base_branch_that_moves_is_tried_again() {
    let moved = (405, says("Base branch was modified. Review and try the merge again."));
    let answer = json!({"sha": "c0ffee", "merged": true});
    assert_eq!(merge(&[moved, (200, answer)], with(&[])).await.unwrap(), "c0ffee");
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong() {
    let moved = with(&[("head", json!({"ref": "slipway/a", "sha": "def"}))]);
    let error = merge(&[(409, says("Head branch was modified."))], moved).await.unwrap_err();
    assert_eq!(error.to_string(), "pull request #7 is now at def, not at abc: look at what was added, then merge that");
    let error = merge(&[(405, says("Pull Request is not mergeable"))], with(&[("state", "closed".into())])).await;
    assert!(matches!(error, Err(Error::NotOpen { number: 7, .. })), "{error:?}");
    let conflict = with(&[("mergeable", false.into())]);
    for (message, now, words) in [
        ("Pull Request is not mergeable", conflict.clone(), "it conflicts with its base branch"),
        ("Squash merges are not allowed on this repository.", with(&[]), "use another merge method"),
        ("Pull Request is still a draft", with(&[]), "ready for review"),
        ("At least 1 approving review is required by reviewers with write access.", with(&[]), "ask for the review"),
        ("Required status check \"slipway\" is expected.", with(&[]), "wait for the checks"),
        ("something new", with(&[]), "its page says"),
    ] {
        let error = merge(&[(405, says(message))], now).await.unwrap_err();
        assert!(matches!(error, Error::NotMergeable { .. }), "{error:?}");
        assert!(error.to_string().contains(words) && error.to_string().contains(message), "{error}");
    }
    let error = merge(&[(422, says("sha is invalid"))], with(&[])).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 422, .. }), "{error:?}");
    let error = merge(&[(403, says("Resource not accessible by integration"))], with(&[])).await.unwrap_err();
    assert!(error.to_string().contains("contents: write"), "{error}");
}

#[tokio::test]
async fn closing_what_is_closed_changes_nothing_and_what_is_merged_is_an_error() {
    for (now, is_closed) in [(with(&[("state", "closed".into())]), true), (merged(), false)] {
        let (server, github) = github().await;
        Mock::given(method("PATCH"))
            .and(path("/repos/octo/cat/pulls/7"))
            .and(body_json(json!({"state": "closed"})))
            .respond_with(ResponseTemplate::new(200).set_body_json(now))
            .expect(1)
            .mount(&server)
            .await;
        let closed = github.close(7).await;
        assert!(if is_closed { closed.is_ok() } else { matches!(closed, Err(Error::NotOpen { .. })) });
    }
    let (_server, github) = github().await;
    assert!(matches!(github.close(7).await, Err(Error::NoPullRequest(7))));
}

#[test]
fn a_method_is_named_as_github_names_it() {
    for method in MergeMethod::ALL {
        assert_eq!(method.to_string().parse::<MergeMethod>().unwrap(), method);
    }
    assert!("octopus".parse::<MergeMethod>().unwrap_err().to_string().contains("merge, squash or rebase"));
}
