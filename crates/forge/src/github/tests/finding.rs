//! Finding pull requests by number, by their branch, and all that are open.

use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use super::{github, pull};
use crate::{Error, PullRequestState};

/// One as GitHub describes it in full.
fn described(number: u64) -> Value {
    let mut pull = pull(number, "slipway/a");
    pull["user"] = json!({"login": "mona", "id": 1, "type": "User"});
    pull["labels"] = json!([{"name": "training", "color": "fff", "default": false}, {"name": "gpu"}]);
    pull["draft"] = true.into();
    pull["merge_commit_sha"] = "a test merge".into();
    pull["mergeable_state"] = "a state of next year".into();
    pull["base"]["repo"] = json!({"full_name": "octo/cat", "owner": {"login": "octo"}});
    pull["head"]["repo"] = json!({"full_name": "Octo/cat"});
    pull["head"]["user"] = json!({"login": "octo"});
    pull
}

#[tokio::test]
async fn one_is_read_by_its_number() {
    let (server, github) = github().await;
    let fork = |repository: Value| {
        let mut fork = described(8);
        (fork["head"]["repo"], fork["state"]) = (repository, "closed".into());
        fork
    };
    let mut merged = fork(json!({"full_name": "mona/cat"}));
    (merged["merged_at"], merged["merge_commit_sha"]) = ("2026-11-25T00:00:00Z".into(), "c0ffee".into());
    for (number, body) in [(7, described(7)), (8, merged), (9, fork(Value::Null))] {
        Mock::given(method("GET"))
            .and(path(format!("/repos/octo/cat/pulls/{number}")))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(&server)
            .await;
    }
    let own = github.get(7).await.unwrap();
    assert_eq!((own.base.as_str(), own.body.as_str(), own.author.as_str()), ("main", "x", "mona"));
    assert_eq!((own.labels.as_slice(), own.is_draft), (&["training".to_owned(), "gpu".to_owned()][..], true));
    assert_eq!((own.head_repository.as_deref(), own.is_fork, own.merge_commit), (Some("Octo/cat"), false, None));
    let fork = github.get(8).await.unwrap();
    assert_eq!((fork.state, fork.is_fork), (PullRequestState::Merged, true));
    assert_eq!((fork.head_repository.as_deref(), fork.merge_commit.as_deref()), (Some("mona/cat"), Some("c0ffee")));
    let gone = github.get(9).await.unwrap();
    assert_eq!((gone.state, gone.is_fork, gone.head_repository), (PullRequestState::Closed, true, None));
    assert!(matches!(github.get(10).await, Err(Error::NoPullRequest(10))));
}

#[tokio::test]
async fn all_that_are_open_are_listed_from_all_pages() {
    let (server, github) = github().await;
    let first: Vec<_> = (1..=100).map(|number| pull(number, "a")).collect();
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/pulls"))
        .and(query_param("state", "open"))
        .and(query_param("direction", "asc"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(first)
                .insert_header("link", "<https://api.github.com/repositories/1/pulls?page=2>; rel=\"next\""),
        )
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/repositories/1/pulls"))
        // one was closed meanwhile, so that another moved to this page
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([pull(100, "a"), pull(101, "b")])))
        .mount(&server)
        .await;
    let numbers: Vec<u64> = github.list_open().await.unwrap().iter().map(|one| one.number).collect();
    assert_eq!(numbers, (1..=101).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_fork_s_pull_request_is_found_by_owner_branch_and_commit() {
    let (server, github) = github().await;
    let of = |number: u64, owner: &str, commit: &str| {
        let mut pull = described(number);
        (pull["head"]["user"], pull["head"]["sha"]) = (json!({"login": owner}), commit.into());
        pull
    };
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/pulls"))
        .and(query_param("head", "mona:slipway/a"))
        .and(query_param("state", "open"))
        // with all that GitHub may add if it does not understand the question
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([
            of(1, "hubot", "abc"),
            pull(2, "slipway/b"),
            of(3, "mona", "def"),
            of(4, "Mona", "abc")
        ])))
        .expect(2)
        .mount(&server)
        .await;
    assert_eq!(github.find("mona", "slipway/a", "abc").await.unwrap().map(|one| one.number), Some(4));
    assert_eq!(github.find("mona", "slipway/a", "fed").await.unwrap(), None, "it has moved since");
}

#[tokio::test]
async fn those_of_a_branch_are_found_in_any_state() {
    let (server, github) = github().await;
    let mut closed = described(3);
    (closed["state"], closed["created_at"]) = ("closed".into(), "2026-11-25T00:00:10Z".into());
    Mock::given(method("GET"))
        .and(path("/repos/octo/cat/pulls"))
        .and(query_param("head", "octo:slipway/a"))
        .and(query_param("state", "all"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([pull(2, "slipway/b"), described(4), closed])))
        .mount(&server)
        .await;
    let found = github.of_branch("slipway/a").await.unwrap();
    assert_eq!(found.iter().map(|one| (one.number, one.is_open())).collect::<Vec<_>>(), [(3, false), (4, true)]);
    assert_eq!((found[0].opened_at, found[1].opened_at), (Some(1_795_564_810), None));
}

#[tokio::test]
async fn those_of_the_last_days_are_read_page_by_page_until_they_are_older() {
    let (server, github) = github().await;
    let at = |number: u64, second: u64| {
        let mut pull = pull(number, "a");
        pull["created_at"] = format!("2026-11-25T00:{:02}:{:02}Z", second / 60, second % 60).into();
        pull
    };
    let first: Vec<_> = (0..100).map(|back| at(300 - back, 600 - back)).collect();
    // one was opened while the pages were read
    let second = json!([at(201, 501), at(200, 500), at(199, 499)]);
    for (page, body) in [("1", json!(first)), ("2", second)] {
        Mock::given(method("GET"))
            .and(path("/repos/octo/cat/pulls"))
            .and(query_param("direction", "desc"))
            .and(query_param("page", page))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(&server)
            .await;
    }
    let numbers: Vec<u64> =
        github.opened_since(1_795_564_800 + 500).await.unwrap().iter().map(|one| one.number).collect();
    assert_eq!(numbers, (200..=300).rev().collect::<Vec<_>>());
}
