//! A GitHub App on a repository that others push to as well: what stands in for GitHub in a cluster of the tests.

use octocrab::EncodingKey;
use octocrab::auth::AppAuth;
use octocrab::models::AppId;
use reqwest::Method;
use serde_json::json;
use slipway_forge::{Credentials, Error, Forge, GitHub as Client, Opened, Publication};
use slipway_git::Repository;
use slipway_github_tests::GitHub;
use slipway_github_tests::accounts::{ANN, MALLORY, MANAGER, NAME, OWNER, REPOSITORY};
use slipway_proposal::Remote;
use slipway_repositories::{Repositories, git};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

#[tokio::test(flavor = "multi_thread")]
async fn an_app_reads_and_reports_where_others_push() {
    let local = Repositories::new();
    let root = local.folder.path().join("served");
    let bare = root.join(format!("{REPOSITORY}.git"));
    git(local.folder.path(), &["clone", "--quiet", "--bare", "work", &bare.display().to_string()]);
    let socket = root.join("github.sock");
    let github = GitHub::over(&root, "https://github.test", &socket).await.unwrap();
    let credentials = Credentials::app(MANAGER.id, github.key(MANAGER).unwrap()).unwrap();
    let client = Client::new(&github.api, OWNER, NAME, credentials);
    assert_eq!(client.default_branch().await.unwrap(), "main");
    assert_eq!(client.login().await.unwrap(), format!("{}[bot]", MANAGER.slug));

    // a branch that nobody has told it of
    git(&local.work, &["switch", "--quiet", "-c", "x"]);
    std::fs::write(local.work.join("a.txt"), "changed").unwrap();
    git(&local.work, &["commit", "--quiet", "--all", "-m", "Change it"]);
    git(&local.work, &["push", "--quiet", &bare.display().to_string(), "x"]);
    let opens = json!({ "title": "Change it", "head": "x", "base": "main", "body": "" });
    let path = format!("/repos/{REPOSITORY}/pulls");
    let (status, opened) = github.ask(Method::POST, &path, ANN.token, Some(&opens)).await.unwrap();
    assert_eq!((status.as_u16(), opened["number"].as_u64()), (201, Some(1)), "{opened}");
    assert_eq!(opened["html_url"], format!("https://github.test/{REPOSITORY}/pull/1"));
    let (status, merged) =
        github.ask(Method::PUT, &format!("{path}/1/merge"), ANN.token, Some(&json!({}))).await.unwrap();
    assert_eq!(status.as_u16(), 200, "{merged}");
    assert_eq!(merged["sha"], git(&bare, &["rev-parse", "main"]));

    // it fetches as itself, and what it writes is its own
    let address = format!("{}/{REPOSITORY}.git", github.server);
    let remote = Remote::by_api(&address, client.clone()).unwrap();
    let mirror = Repository::init_bare(&local.folder.path().join("mirror.git")).unwrap();
    assert_eq!(merged["sha"], remote.fetch(&mirror, "main").await.unwrap());
    let says = async |opened: &Opened, _: Option<&str>| {
        Ok::<_, Error>(Publication { head: opened.head.clone(), parts: vec!["hello".to_owned()], check: None })
    };
    let app = Forge::GitHub(client);
    app.publish(1, says).await.unwrap();
    let comments = github.get("/issues/1/comments").await.unwrap();
    assert_eq!(comments.as_array().map(Vec::len), Some(1), "{comments}");
    assert_eq!(comments[0]["user"]["login"], format!("{}[bot]", MANAGER.slug));

    // once a workflow has written one, that is the report, and the app goes on with it; who may not write changes nothing
    let writes = [("pull_requests".to_owned(), "write".to_owned())].into();
    let runner = Credentials::Runner(github.job_token(&writes).await.unwrap().into());
    let plans = async |opened: &Opened, _: Option<&str>| {
        Ok::<_, Error>(Publication { head: opened.head.clone(), parts: vec!["plan".to_owned()], check: None })
    };
    Forge::GitHub(Client::new(&github.api, OWNER, NAME, runner)).publish(1, plans).await.unwrap();
    app.publish(1, says).await.unwrap();
    let comments = github.get("/issues/1/comments").await.unwrap();
    assert_eq!(comments.as_array().map(Vec::len), Some(1), "{comments}");
    assert_eq!(comments[0]["user"]["login"], "github-actions[bot]");
    assert!(comments[0]["body"].as_str().unwrap().ends_with("\nhello"), "{comments}");
    let stranger = Forge::GitHub(Client::new(&github.api, OWNER, NAME, Credentials::token(MALLORY.token)));
    let refused = stranger.publish(1, plans).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { status: 403, .. }), "{refused}");
    assert_eq!(github.get("/issues/1/comments").await.unwrap(), comments);

    let answer = by_socket(&socket, &format!("/api/v3{path}/1")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"merged\":true"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_known_by_a_signature_of_github_s_own_time() {
    let local = Repositories::new();
    let github = GitHub::start(&local.work).await.unwrap();
    let key = EncodingKey::from_rsa_pem(github.key(MANAGER).unwrap().as_bytes()).unwrap();
    let signed = AppAuth { app_id: AppId(MANAGER.id), key }.generate_bearer_token().unwrap();
    let path = format!("/repos/{REPOSITORY}/installation");
    for (ahead, expected) in [(0, 200), (-3600, 401), (3600, 401), (-300, 401)] {
        github.set_ahead(ahead).await;
        let (status, said) = github.ask(Method::GET, &path, &signed, None).await.unwrap();
        assert_eq!(status.as_u16(), expected, "{ahead}: {said}");
    }
    // this machine's clock is an hour behind: one refusal, and from then on it signs by GitHub's
    github.set_ahead(3600).await;
    let credentials = Credentials::app(MANAGER.id, github.key(MANAGER).unwrap()).unwrap();
    let client = Client::new(&github.api, OWNER, NAME, credentials);
    github.asked().await;
    assert_eq!(client.default_branch().await.unwrap(), "main");
    let asked = github.asked().await;
    assert_eq!(asked.iter().filter(|asked| asked.ends_with("/installation")).count(), 2, "{asked:?}");
    assert_eq!(asked.len(), 4, "{asked:?}");
}

/// What is answered at a Unix socket to somebody without a token.
async fn by_socket(socket: &std::path::Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: github.test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
