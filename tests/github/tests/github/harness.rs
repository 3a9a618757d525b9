//! The emulated GitHub itself, where emulate alone does something else.

use std::path::Path;

use serde_json::{Value, json};
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::{ANN, BOB, MALLORY, Person, REPOSITORY};
use slipway_github_tests::repository::{clean, output};
use slipway_repositories::{Repositories, git};

/// Makes a commit on a new branch of the work tree.
fn change(local: &Repositories, branch: &str, file: &str, text: &str) -> String {
    git(&local.work, &["switch", "--quiet", "-C", branch]);
    std::fs::write(local.work.join(file), text).unwrap();
    git(&local.work, &["add", "."]);
    git(&local.work, &["commit", "--quiet", "-m", &format!("Change {file}")]);
    git(&local.work, &["rev-parse", "HEAD"])
}

async fn push(github: &GitHub, folder: &Path, who: Person, repository: &str, refspec: &str) -> anyhow::Result<String> {
    let url = github.server.replace("http://", &format!("http://{}:{}@", who.login, who.token));
    let url = format!("{url}/{repository}.git");
    output(clean().arg("-C").arg(folder).args(["push", "--quiet", &url, refspec])).await
}

async fn open(github: &GitHub, who: Person, head: &str) -> (u16, Value) {
    let body = json!({ "title": format!("Change {head}"), "head": head, "base": "main", "body": "why" });
    let path = format!("/repos/{REPOSITORY}/pulls");
    let (status, json) = github.ask(reqwest::Method::POST, &path, who.token, Some(&body)).await.unwrap();
    (status.as_u16(), json)
}

async fn merge(github: &GitHub, number: u64, body: &Value) -> (u16, Value) {
    let path = format!("/repos/{REPOSITORY}/pulls/{number}/merge");
    let (status, json) = github.ask(reqwest::Method::PUT, &path, ANN.token, Some(body)).await.unwrap();
    (status.as_u16(), json)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_follows_what_is_pushed_and_merges_as_git_does() {
    let local = Repositories::new();
    let github = GitHub::start(&local.work).await.unwrap();
    let bare = github.bare(REPOSITORY);
    for (number, method) in (1..).zip(["merge", "squash", "rebase"]) {
        git(&local.work, &["fetch", "--quiet", &bare.0.display().to_string(), "main"]);
        git(&local.work, &["switch", "--quiet", "--detach", "FETCH_HEAD"]);
        let base = git(&local.work, &["rev-parse", "HEAD"]);
        change(&local, method, &format!("{method}.txt"), "one");
        push(&github, &local.work, ANN, REPOSITORY, method).await.unwrap();
        let (status, opened) = open(&github, ANN, method).await;
        assert_eq!((status, opened["number"].as_u64()), (201, Some(number)), "{opened}");
        // somebody pushes more, and somebody else to the base
        let head = change(&local, method, &format!("{method}-2.txt"), "two");
        push(&github, &local.work, BOB, REPOSITORY, method).await.unwrap();
        git(&local.work, &["switch", "--quiet", "--detach", &base]);
        let beside = change(&local, "beside", &format!("beside-{method}.txt"), "three");
        push(&github, &local.work, ANN, REPOSITORY, "beside:main").await.unwrap();
        let pull = github.get(&format!("/pulls/{number}")).await.unwrap();
        assert_eq!(pull["head"]["sha"], head.as_str());
        assert_eq!((pull["base"]["sha"].as_str(), pull["mergeable"].as_bool()), (Some(beside.as_str()), Some(true)));
        assert_eq!(bare.commit(&format!("refs/pull/{number}/head")).await.as_deref(), Some(head.as_str()));

        let (status, moved) = merge(&github, number, &json!({ "sha": base })).await;
        assert_eq!(
            (status, moved["message"].as_str()),
            (409, Some("Head branch was modified. Review and try the merge again."))
        );
        let (status, merged) = merge(&github, number, &json!({ "sha": head, "merge_method": method })).await;
        assert_eq!((status, merged["merged"].as_bool()), (200, Some(true)), "{merged}");
        let main = bare.commit("main").await.unwrap();
        assert_eq!(merged["sha"], main.as_str());
        let pull = github.get(&format!("/pulls/{number}")).await.unwrap();
        assert_eq!((pull["merged"].as_bool(), pull["merge_commit_sha"].as_str()), (Some(true), Some(main.as_str())));
        let branch = github.get("/git/ref/heads/main").await.unwrap();
        assert_eq!(branch["object"]["sha"], main.as_str(), "emulate's main is git's");
        let subjects = bare.git(&["log", "--first-parent", "--format=%s", &format!("{beside}..main")]).await.unwrap();
        let expected = match method {
            "merge" => format!("Merge pull request #{number} from acme/{method}"),
            "squash" => format!("Change {method} (#{number})"),
            _ => format!("Change {method}-2.txt\nChange {method}.txt"),
        };
        assert_eq!(subjects, expected);
        let files = bare.git(&["ls-tree", "--name-only", "main"]).await.unwrap();
        assert!(
            files.contains(&format!("beside-{method}.txt")) && files.contains(&format!("{method}-2.txt")),
            "{files}"
        );
        let found = github.get(&format!("/commits/{main}/pulls")).await.unwrap();
        assert_eq!(found[0]["number"].as_u64(), Some(number));
        assert!(found[0]["merged_at"].is_string() && found[0].get("merged").is_none_or(Value::is_boolean));
        assert_eq!(merge(&github, number, &json!({})).await.0, 405, "merged already");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_github_refuses_is_refused() {
    let local = Repositories::new();
    let github = GitHub::start(&local.work).await.unwrap();
    let pulls = format!("/repos/{REPOSITORY}/pulls");
    let message = |json: &Value| json["errors"][0]["message"].as_str().unwrap_or_default().to_owned();
    let (status, json) = github.ask(reqwest::Method::GET, &pulls, "nobody's", None).await.unwrap();
    assert_eq!((status.as_u16(), json["message"].as_str()), (401, Some("Bad credentials")));

    let (status, json) = open(&github, ANN, "never-pushed").await;
    assert_eq!((status, json["errors"][0]["field"].as_str()), (422, Some("head")), "{json}");
    git(&local.work, &["switch", "--quiet", "-c", "nothing"]);
    push(&github, &local.work, ANN, REPOSITORY, "nothing").await.unwrap();
    let (status, json) = open(&github, ANN, "nothing").await;
    assert_eq!((status, message(&json)), (422, "No commits between main and nothing".to_owned()));

    let head = change(&local, "x", "a.txt", "x");
    push(&github, &local.work, ANN, REPOSITORY, "x").await.unwrap();
    assert_eq!(open(&github, ANN, "x").await.0, 201);
    let (status, json) = open(&github, BOB, "acme:x").await;
    assert_eq!((status, message(&json)), (422, "A pull request already exists for acme:x.".to_owned()));
    assert_eq!(github.get("/pulls").await.unwrap().as_array().map(Vec::len), Some(1));

    // a conflict
    git(&local.work, &["switch", "--quiet", "main"]);
    change(&local, "main", "a.txt", "y");
    push(&github, &local.work, ANN, REPOSITORY, "main").await.unwrap();
    let pull = github.get("/pulls/1").await.unwrap();
    assert_eq!((pull["mergeable"].as_bool(), pull["mergeable_state"].as_str()), (Some(false), Some("dirty")));
    for method in ["merge", "squash", "rebase"] {
        assert_eq!(merge(&github, 1, &json!({ "merge_method": method })).await.0, 405, "{method}");
    }

    // who may push, and who may write what
    assert!(push(&github, &local.work, MALLORY, REPOSITORY, "x:mine").await.is_err());
    push(&github, &local.work, MALLORY, "mallory/models", "x:mine").await.unwrap();
    assert_eq!(open(&github, MALLORY, "mallory:mine").await.0, 201);
    let fork = github.get("/pulls/2").await.unwrap();
    assert_eq!(
        (fork["head"]["repo"]["full_name"].as_str(), fork["head"]["sha"].as_str()),
        (Some("mallory/models"), Some(&*head))
    );
    let run = json!({ "name": "slipway", "head_sha": head, "status": "completed", "conclusion": "success" });
    let runs = format!("/repos/{REPOSITORY}/check-runs");
    let refused = github.ask(reqwest::Method::POST, &runs, ANN.token, Some(&run)).await.unwrap();
    assert_eq!(refused.0.as_u16(), 403, "only apps write check runs");
    let reads = [("contents".to_owned(), "read".to_owned())].into();
    let reader = github.job_token(&reads).await.unwrap();
    assert_eq!(github.ask(reqwest::Method::POST, &runs, &reader, Some(&run)).await.unwrap().0.as_u16(), 403);
    let long = json!({ "body": "x".repeat(65_537) });
    let comments = format!("/repos/{REPOSITORY}/issues/1/comments");
    let (status, json) = github.ask(reqwest::Method::POST, &comments, ANN.token, Some(&long)).await.unwrap();
    assert_eq!((status.as_u16(), message(&json)), (422, "body is too long (maximum is 65536 characters)".to_owned()));
    let reviewers = format!("{pulls}/1/requested_reviewers");
    for (who, expected) in [("ann", 422), ("bob", 201)] {
        let body = json!({ "reviewers": [who] });
        let answer = github.ask(reqwest::Method::POST, &reviewers, ANN.token, Some(&body)).await.unwrap();
        assert_eq!(answer.0.as_u16(), expected, "{}", answer.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_has_the_permissions_of_its_token_and_acts_as_the_app() {
    let local = Repositories::new();
    let github = GitHub::start(&local.work).await.unwrap();
    let head = change(&local, "x", "a.txt", "x");
    push(&github, &local.work, ANN, REPOSITORY, "x").await.unwrap();
    assert_eq!(open(&github, ANN, "x").await.0, 201);
    let permissions = ["pull_requests", "checks"].map(|name| (name.to_owned(), "write".to_owned())).into();
    let token = github.job_token(&permissions).await.unwrap();
    let ask = async |method: reqwest::Method, path: &str, body: Value| {
        github.ask(method, path, &token, Some(&body)).await.unwrap()
    };
    assert_eq!(ask(reqwest::Method::GET, "/user", Value::Null).await.0.as_u16(), 403);
    let comments = format!("/repos/{REPOSITORY}/issues/1/comments");
    let (status, comment) = ask(reqwest::Method::POST, &comments, json!({ "body": format!("at {head}") })).await;
    assert_eq!((status.as_u16(), comment["user"]["login"].as_str()), (201, Some("github-actions[bot]")), "{comment}");
    assert_eq!(github.get("/issues/1/comments").await.unwrap()[0]["body"], format!("at {head}"));
    let address = format!("{}/{REPOSITORY}/pull/1#issuecomment-{}", github.server, comment["id"]);
    assert_eq!(comment["html_url"], address);
    let annotation = |line: u64| json!({ "path": "a", "start_line": line, "end_line": line, "annotation_level": "notice", "message": "m" });
    let output = |lines: std::ops::Range<u64>| json!({ "title": "t", "summary": "s", "annotations": lines.map(annotation).collect::<Vec<_>>() });
    let run = json!({ "name": "slipway", "head_sha": head, "status": "completed", "conclusion": "success", "output": output(0..50) });
    let runs = format!("/repos/{REPOSITORY}/check-runs");
    let (status, made) = ask(reqwest::Method::POST, &runs, run).await;
    assert_eq!((status.as_u16(), made["app"]["slug"].as_str()), (201, Some("github-actions")), "{made}");
    let one = format!("{runs}/{}", made["id"]);
    let (_, updated) = ask(reqwest::Method::PATCH, &one, json!({ "output": output(50..70) })).await;
    assert_eq!(updated["output"]["annotations_count"], 70, "{updated}");
    assert_eq!(ask(reqwest::Method::PATCH, &one, json!({ "output": output(0..51) })).await.0.as_u16(), 422);
    let listed = github.get(&format!("/commits/{head}/check-runs?check_name=slipway")).await.unwrap();
    assert_eq!((listed["total_count"].as_u64(), listed["check_runs"][0]["head_sha"].as_str()), (Some(1), Some(&*head)));
    // no right to the contents: no push, no merge
    let folder = &local.work;
    let url = github.server.replace("http://", &format!("http://x-access-token:{token}@"));
    let url = format!("{url}/{REPOSITORY}.git");
    assert!(output_of_push(folder, &url).await.is_err());
    let merge = format!("/repos/{REPOSITORY}/pulls/1/merge");
    assert_eq!(ask(reqwest::Method::PUT, &merge, json!({})).await.0.as_u16(), 403);
}

async fn output_of_push(folder: &Path, url: &str) -> anyhow::Result<String> {
    output(clean().arg("-C").arg(folder).args(["push", "--quiet", url, "x:y"])).await
}
