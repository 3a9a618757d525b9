//! Commits by the API.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wiremock::matchers::{body_json, body_partial_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::github;
use crate::{Error, GitHub, NewCommit, NewFile};

const BASE: &str = "1111111111111111111111111111111111111111";

fn changes() -> BTreeMap<String, Option<Vec<u8>>> {
    let changed = [("a.yaml", Some(b"a: 1\n".to_vec())), ("b.bin", Some(vec![0xff, 0x00])), ("gone.yaml", None)];
    changed.map(|(path, content)| (path.to_owned(), content)).into()
}

fn commit(sha: &str, tree: &str) -> Value {
    let author = json!({"name": "octo", "email": "octo@example.org", "date": "2026-11-25T00:00:00Z"});
    json!({"sha": sha, "node_id": "n", "url": "https://x/c", "html_url": "https://x/c", "author": author, "committer": author,
           "message": "m", "tree": {"sha": tree, "url": "https://x/t"}, "parents": [],
           "verification": {"verified": false, "reason": "unsigned", "signature": null, "payload": null}})
}

fn reference(sha: &str) -> Value {
    let object = json!({"type": "commit", "sha": sha, "url": "https://x/c"});
    json!({"ref": "refs/heads/slipway/a", "node_id": "n", "url": "https://x/r", "object": object})
}

/// A repository whose new tree is `tree`, and whose branch answers as given.
async fn repository(tree: &str, create: (u16, Value), update: Option<(u16, Value)>) -> (MockServer, GitHub) {
    let (server, github) = github().await;
    let tree_body = json!({"base_tree": "before", "tree": [
        {"path": "a.yaml", "mode": "100644", "type": "blob", "content": "a: 1\n"},
        {"path": "b.bin", "mode": "100644", "type": "blob", "sha": "blob"},
        {"path": "gone.yaml", "mode": "100644", "type": "blob", "sha": null},
    ]});
    let tree_answer = json!({"sha": tree, "url": "https://x/t", "tree": [], "truncated": false});
    let answer = |status, body: &Value| ResponseTemplate::new(status).set_body_json(body);
    let at =
        |verb: &'static str, below: &str| Mock::given(method(verb)).and(path(format!("/repos/octo/cat/git/{below}")));
    at("GET", &format!("commits/{BASE}")).respond_with(answer(200, &commit(BASE, "before"))).mount(&server).await;
    at("POST", "blobs")
        .and(body_json(json!({"content": "/wA=", "encoding": "base64"})))
        .respond_with(answer(201, &json!({"sha": "blob", "url": "https://x/b"})))
        .expect(1)
        .mount(&server)
        .await;
    at("POST", "trees").and(body_json(tree_body)).respond_with(answer(201, &tree_answer)).mount(&server).await;
    at("POST", "commits")
        .and(body_partial_json(json!({"message": "why", "tree": "after", "parents": [BASE]})))
        .respond_with(answer(201, &commit("made", "after")))
        .mount(&server)
        .await;
    at("POST", "refs")
        .and(body_json(json!({"ref": "refs/heads/slipway/a", "sha": "made"})))
        .respond_with(answer(create.0, &create.1))
        .mount(&server)
        .await;
    if let Some((status, body)) = update {
        at("PATCH", "refs/heads/slipway/a")
            .and(body_json(json!({"sha": "made", "force": false})))
            .respond_with(answer(status, &body))
            .expect(1)
            .mount(&server)
            .await;
    }
    (server, github)
}

fn exists() -> (u16, Value) {
    (422, json!({"message": "Reference already exists"}))
}

#[tokio::test]
async fn a_new_branch_is_made_at_the_commit() {
    let (_server, github) = repository("after", (201, reference("made")), None).await;
    assert_eq!(github.commit(BASE, &changes(), "why", "slipway/a").await.unwrap(), "made");
}

#[tokio::test]
async fn a_branch_only_moves_forward() {
    let (_server, github) = repository("after", exists(), Some((200, reference("made")))).await;
    assert_eq!(github.commit(BASE, &changes(), "why", "slipway/a").await.unwrap(), "made");
    for message in ["Update is not a fast forward", "Update is not a fast-forward"] {
        let moved = (422, json!({ "message": message }));
        let (_server, github) = repository("after", exists(), Some(moved)).await;
        let error = github.commit(BASE, &changes(), "why", "slipway/a").await.unwrap_err();
        assert!(matches!(&error, Error::BranchMoved(branch) if branch == "slipway/a"), "{error}");
    }
}

#[tokio::test]
async fn without_a_change_no_commit_is_made() {
    let (server, github) = repository("before", exists(), None).await;
    assert_eq!(github.commit(BASE, &changes(), "why", "slipway/a").await.unwrap(), BASE);
    let requests = server.received_requests().await.unwrap();
    assert!(
        requests
            .iter()
            .all(|request| !request.url.path().ends_with("/commits") && !request.url.path().ends_with("/refs"))
    );
}

/// A repository that makes the tree `after` of `entries`, and a commit of it on top of two parents.
async fn with_two_parents(entries: Value) -> (MockServer, GitHub) {
    let (server, github) = github().await;
    let answer = |status, body: &Value| ResponseTemplate::new(status).set_body_json(body);
    let at =
        |verb: &'static str, below: &str| Mock::given(method(verb)).and(path(format!("/repos/octo/cat/git/{below}")));
    at("GET", &format!("commits/{BASE}")).respond_with(answer(200, &commit(BASE, "before"))).mount(&server).await;
    at("POST", "blobs").respond_with(answer(201, &json!({"sha": "blob", "url": "https://x/b"}))).mount(&server).await;
    at("POST", "trees")
        .and(body_json(json!({"base_tree": "before", "tree": entries})))
        .respond_with(answer(201, &json!({"sha": "after", "url": "https://x/t", "tree": [], "truncated": false})))
        .mount(&server)
        .await;
    at("POST", "commits")
        .and(body_partial_json(json!({"message": "why", "tree": "after", "parents": [BASE, "other"]})))
        .respond_with(answer(201, &commit("made", "after")))
        .mount(&server)
        .await;
    at("POST", "refs")
        .and(body_json(json!({"ref": "refs/heads/slipway/a", "sha": "made"})))
        .respond_with(answer(201, &reference("made")))
        .mount(&server)
        .await;
    (server, github)
}

#[tokio::test]
async fn a_commit_keeps_modes_parents_and_its_tree() {
    let content = |mode, bytes: &[u8]| NewFile::Content { mode, bytes: bytes.to_vec() };
    let known = |mode, id: &str| NewFile::Known { mode, id: id.to_owned() };
    let changes = [
        ("a.sh", content(0o100_755, b"#!/bin/sh\n")),
        ("b.bin", content(0o100_644, b"text with \0 in it")),
        ("link", content(0o120_000, b"a.sh")),
        ("merged", known(0o100_644, "theirs")),
        ("module", known(0o160_000, "elsewhere")),
        ("removed", NewFile::Removed),
    ];
    let changes: BTreeMap<String, NewFile> = changes.map(|(path, file)| (path.to_owned(), file)).into();
    let (_server, github) = with_two_parents(json!([
        {"path": "a.sh", "mode": "100755", "type": "blob", "content": "#!/bin/sh\n"},
        {"path": "b.bin", "mode": "100644", "type": "blob", "sha": "blob"},
        {"path": "link", "mode": "120000", "type": "blob", "content": "a.sh"},
        {"path": "merged", "mode": "100644", "type": "blob", "sha": "theirs"},
        {"path": "module", "mode": "160000", "type": "commit", "sha": "elsewhere"},
        {"path": "removed", "mode": "100644", "type": "blob", "sha": null},
    ]))
    .await;
    let parents = [BASE.to_owned(), "other".to_owned()];
    let new = NewCommit { parents: &parents, changes: &changes, message: "why", tree: Some("after") };
    assert_eq!(github.push(&new, "slipway/a").await.unwrap(), "made");
    // GitHub did not make what is meant
    let error = github.push(&NewCommit { tree: Some("another"), ..new }, "slipway/a").await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }) && error.to_string().contains("tree after"), "{error}");
    let error = github.push(&NewCommit { parents: &[], ..new }, "slipway/a").await.unwrap_err();
    assert!(error.to_string().contains("without a parent"), "{error}");
}
