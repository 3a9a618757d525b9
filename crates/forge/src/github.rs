//! GitHub, by its REST interface (version 2022-11-28).

use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Error, Opened, PullRequest, PullRequestState, Result};

const API: &str = "https://api.github.com";
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most that a page may hold.
const PAGE: usize = 100;
const PAGES: usize = 10;

/// A repository on GitHub, or on a GitHub Enterprise server.
#[derive(Clone)]
pub struct GitHub {
    client: reqwest::Client,
    api: String,
    owner: String,
    repository: String,
    token: String,
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // never the token
        write!(f, "GitHub({}/{} at {})", self.owner, self.repository, self.api)
    }
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    title: String,
    state: String,
    #[serde(default)]
    merged_at: Option<String>,
    head: Head,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "ref")]
    branch: String,
    sha: String,
}

impl From<Pull> for Opened {
    fn from(pull: Pull) -> Self {
        let state = match (pull.state.as_str(), pull.merged_at) {
            (_, Some(_)) => PullRequestState::Merged,
            ("open", None) => PullRequestState::Open,
            _ => PullRequestState::Closed,
        };
        Self {
            number: pull.number,
            url: pull.html_url,
            branch: pull.head.branch,
            title: pull.title,
            head: pull.head.sha,
            state,
        }
    }
}

impl GitHub {
    /// The repository behind a remote's URL; none when that is not GitHub. The token is `GITHUB_TOKEN`, `GH_TOKEN` or what
    /// `gh auth token` gives; `GITHUB_API_URL` names another server's interface.
    ///
    /// # Errors
    /// [`Error::NoToken`].
    pub fn of(url: &str) -> Result<Option<Self>> {
        let Some((host, owner, repository)) = parts(url) else { return Ok(None) };
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let api = given("GITHUB_API_URL");
        // ssh.github.com is GitHub's SSH on port 443; another server is GitHub only when it is the one whose interface is named
        let public = ["github.com", "www.github.com", "ssh.github.com"].contains(&host.as_str());
        if !public && !api.as_deref().is_some_and(|api| serves(api, &host)) {
            return Ok(None);
        }
        let token = given("GITHUB_TOKEN").or_else(|| given("GH_TOKEN")).or_else(gh_token).ok_or(Error::NoToken)?;
        Self::new(api.as_deref().unwrap_or(API), &owner, &repository, &token).map(Some)
    }

    /// A repository at an interface's URL.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(api: &str, owner: &str, repository: &str, token: &str) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).user_agent("slipway").build();
        let client = client.map_err(|error| Error::Unreachable { url: api.to_owned(), reason: error.to_string() })?;
        let [api, owner, repository, token] = [api.trim_end_matches('/'), owner, repository, token].map(str::to_owned);
        Ok(Self { client, api, owner, repository, token })
    }

    pub(crate) async fn open_pull_request(&self, request: &PullRequest) -> Result<Opened> {
        let body = json!({ "title": request.title, "body": request.body, "head": request.branch, "base": "main" });
        let asked = self.send::<Pull>(self.request(Method::POST, "/pulls", &[]).json(&body)).await;
        match asked {
            // 422 is also what a pull request gets that is there already
            Err(Error::Refused { status: 422, message, advice }) => match self.open_for(&request.branch).await? {
                Some(opened) => Ok(opened),
                None => Err(Error::Refused { status: 422, message, advice }),
            },
            asked => Ok(asked?.into()),
        }
    }

    pub(crate) async fn open_for(&self, branch: &str) -> Result<Option<Opened>> {
        let head = format!("{}:{branch}", self.owner);
        let query = [("head", head.as_str()), ("state", "open")];
        let pulls: Vec<Pull> = self.send(self.request(Method::GET, "/pulls", &query)).await?;
        Ok(pulls.into_iter().find(|pull| pull.head.branch == branch).map(Opened::from))
    }

    pub(crate) async fn list(&self) -> Result<Vec<Opened>> {
        let mut all: Vec<Opened> = Vec::new();
        for page in 1..=PAGES {
            let (size, page) = (PAGE.to_string(), page.to_string());
            let query = [("state", "all"), ("per_page", size.as_str()), ("page", page.as_str())];
            let pulls: Vec<Pull> = self.send(self.request(Method::GET, "/pulls", &query)).await?;
            let last = pulls.len() < PAGE;
            all.extend(pulls.into_iter().map(Opened::from));
            if last {
                break;
            }
        }
        all.sort_by_key(|opened| opened.number);
        // One that was opened in between moves another to the next page, where it comes again.
        all.dedup_by_key(|opened| opened.number);
        Ok(all)
    }

    pub(crate) async fn get(&self, number: u64) -> Result<Opened> {
        match self.send::<Pull>(self.request(Method::GET, &format!("/pulls/{number}"), &[])).await {
            Err(Error::Refused { status: 404, .. }) => Err(Error::NoPullRequest(number)),
            pull => Ok(pull?.into()),
        }
    }

    /// Owner and repository.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.owner, self.repository)
    }

    pub(crate) async fn merge(&self, number: u64) -> Result<String> {
        #[derive(Deserialize)]
        struct Merged {
            sha: String,
        }
        let body = json!({ "merge_method": "merge" });
        let merged = self.send::<Merged>(self.request(Method::PUT, &format!("/pulls/{number}/merge"), &[]).json(&body));
        match merged.await {
            Err(Error::Refused { status: 404, .. }) => Err(Error::NoPullRequest(number)),
            Err(Error::Refused { status: status @ (405 | 409), message, .. }) => Err(Error::Refused {
                status,
                message,
                advice: "look at the pull request: a review or a check may be missing, or it conflicts with main",
            }),
            merged => Ok(merged?.sha),
        }
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let url = format!("{}/repos/{}/{}{path}", self.api, self.owner, self.repository);
        self.client
            .request(method, url)
            .query(query)
            .bearer_auth(&self.token)
            .header("Accept", "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28")
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let unreachable = |error: reqwest::Error| Error::Unreachable { url: self.api.clone(), reason: chain(&error) };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(unreachable);
        }
        let body: Value = answer.json().await.unwrap_or_default();
        let mut message = body["message"].as_str().unwrap_or("no reason given").to_owned();
        for error in body["errors"].as_array().into_iter().flatten() {
            if let Some(detail) = error["message"].as_str() {
                message = format!("{message}: {detail}");
            }
        }
        let advice = match status {
            StatusCode::UNAUTHORIZED => "the token is not valid (any more): set another GITHUB_TOKEN",
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS if message.contains("rate limit") => {
                "too much was asked of GitHub with this token: wait an hour, or use another"
            }
            StatusCode::FORBIDDEN => "the token needs `pull requests: write` and `contents: write` on this repository",
            StatusCode::NOT_FOUND => "the repository is not there, or the token may not see it",
            StatusCode::UNPROCESSABLE_ENTITY => "the branch must be pushed, and hold something that main does not",
            _ => "try again later",
        };
        Err(Error::Refused { status: status.as_u16(), message, advice })
    }
}

/// An error with its causes, which reqwest keeps to itself.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// Whether an interface's URL is that of a server: `https://<host>/api/v3` or `https://api.<host>`.
fn serves(api: &str, host: &str) -> bool {
    let named = Url::parse(api).ok().and_then(|url| url.host_str().map(str::to_owned));
    named.is_some_and(|named| named == host || named.strip_prefix("api.") == Some(host))
}

/// Host, owner and repository of `https://host/owner/repository(.git)`, `ssh://git@host/…` or `git@host:owner/repository`.
fn parts(url: &str) -> Option<(String, String, String)> {
    let (host, path) = match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "https" | "http" | "ssh") => {
            (url.host_str()?.to_owned(), url.path().trim_start_matches('/').to_owned())
        }
        _ => {
            let (host, path) = url.split_once(':')?;
            (host.rsplit('@').next()?.to_owned(), path.to_owned())
        }
    };
    let path = path.trim_end_matches('/');
    let (owner, repository) = path.strip_suffix(".git").unwrap_or(path).split_once('/')?;
    let plain = |name: &str| !name.is_empty() && !name.contains('/');
    (plain(owner) && plain(repository)).then(|| (host, owner.to_owned(), repository.to_owned()))
}

fn gh_token() -> Option<String> {
    let done = Command::new("gh").args(["auth", "token"]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let token = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    (done.status.success() && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{bearer_token, body_partial_json, method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    #[test]
    fn a_remote_names_its_repository() {
        let expected = Some(("github.com".to_owned(), "octo".to_owned(), "cat".to_owned()));
        for url in [
            "https://github.com/octo/cat",
            "https://github.com/octo/cat.git",
            "https://user:secret@github.com/octo/cat/",
            "git@github.com:octo/cat.git",
            "ssh://git@github.com/octo/cat.git",
        ] {
            assert_eq!(parts(url), expected, "{url}");
        }
        for url in ["/srv/forge.git", "file:///srv/forge.git", "https://github.com/octo", "https://github.com/a/b/c"] {
            assert_eq!(parts(url), None, "{url}");
        }
    }

    fn pull(state: &str) -> Value {
        json!({"number": 7, "html_url": "https://github.com/octo/cat/pull/7", "title": "Train", "state": state,
               "head": {"ref": "slipway/a", "sha": "abc"}, "body": "x"})
    }

    async fn github() -> (MockServer, GitHub) {
        let server = MockServer::start().await;
        let github = GitHub::new(&server.uri(), "octo", "cat", "token").unwrap();
        (server, github)
    }

    fn request() -> PullRequest {
        PullRequest { branch: "slipway/a".to_owned(), title: "Train".to_owned(), body: "plan".to_owned() }
    }

    #[tokio::test]
    async fn a_pull_request_is_opened_and_merged() {
        let (server, github) = github().await;
        Mock::given(method("POST"))
            .and(path("/repos/octo/cat/pulls"))
            .and(bearer_token("token"))
            .and(body_partial_json(json!({"head": "slipway/a", "base": "main", "body": "plan"})))
            .respond_with(ResponseTemplate::new(201).set_body_json(pull("open")))
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(method("PUT"))
            .and(path("/repos/octo/cat/pulls/7/merge"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"sha": "def", "merged": true})))
            .mount(&server)
            .await;
        let opened = github.open_pull_request(&request()).await.unwrap();
        assert_eq!((opened.number, opened.is_open(), opened.head.as_str()), (7, true, "abc"));
        assert_eq!(github.merge(7).await.unwrap(), "def");
        assert!(!format!("{github:?}").contains("token"));
    }

    #[tokio::test]
    async fn one_that_is_open_already_is_found() {
        let (server, github) = github().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(422).set_body_json(json!({"message": "Validation Failed"})))
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .and(query_param("head", "octo:slipway/a"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!([pull("open")])))
            .mount(&server)
            .await;
        assert_eq!(github.open_pull_request(&request()).await.unwrap().number, 7);
    }

    #[tokio::test]
    async fn a_refusal_says_what_to_do() {
        for (status, word) in [(401, "not valid"), (403, "contents: write"), (404, "not there"), (500, "later")] {
            let (server, github) = github().await;
            Mock::given(method("POST"))
                .respond_with(ResponseTemplate::new(status).set_body_json(json!({"message": "no"})))
                .mount(&server)
                .await;
            let error = github.open_pull_request(&request()).await.unwrap_err().to_string();
            assert!(error.contains(word) && error.contains(&status.to_string()), "{error}");
        }
        let gone = GitHub::new("http://127.0.0.1:1", "octo", "cat", "token").unwrap();
        let error = gone.merge(1).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }) && !error.to_string().contains("token"), "{error}");
    }

    #[test]
    fn another_server_is_github_when_its_interface_is_named() {
        for api in ["https://git.example.org/api/v3", "https://api.git.example.org"] {
            assert!(serves(api, "git.example.org"), "{api}");
        }
        // GITHUB_API_URL is set on every runner of GitHub: that makes no other host GitHub
        assert!(!serves(API, "gitlab.com") && serves(API, "github.com") && !serves("", "x"));
    }

    #[tokio::test]
    async fn all_pages_are_listed() {
        let (server, github) = github().await;
        let page = |from: usize, n: usize| {
            let pulls = (from..from + n).rev().map(|number| {
                let mut pull = pull(if number % 2 == 0 { "open" } else { "closed" });
                pull["number"] = json!(number);
                pull["merged_at"] = if number == 1 { json!("2026-01-01T00:00:00Z") } else { Value::Null };
                pull
            });
            ResponseTemplate::new(200).set_body_json(Value::from_iter(pulls))
        };
        for (number, answer) in [("1", page(3, 100)), ("2", page(1, 3))] {
            Mock::given(query_param("page", number))
                .and(query_param("state", "all"))
                .respond_with(answer)
                .expect(1)
                .mount(&server)
                .await;
        }
        let all = github.list().await.unwrap();
        assert_eq!(all.iter().map(|one| one.number).collect::<Vec<_>>(), (1..=102).collect::<Vec<_>>());
        let states: Vec<_> = all[..3].iter().map(|one| one.state).collect();
        assert_eq!(states, [PullRequestState::Merged, PullRequestState::Open, PullRequestState::Closed]);
    }

    #[tokio::test]
    async fn one_is_read_by_its_number() {
        let (server, github) = github().await;
        Mock::given(method("GET"))
            .and(path("/repos/octo/cat/pulls/7"))
            .respond_with(ResponseTemplate::new(200).set_body_json(pull("open")))
            .mount(&server)
            .await;
        assert_eq!(github.get(7).await.unwrap().branch, "slipway/a");
        assert!(matches!(github.get(8).await, Err(Error::NoPullRequest(8))));
        assert_eq!(github.name(), "octo/cat");
    }

    #[tokio::test]
    async fn what_cannot_be_merged_says_why() {
        for (status, message) in [(405, "Pull Request is not mergeable"), (409, "Head branch was modified")] {
            let (server, github) = github().await;
            let answer = ResponseTemplate::new(status).set_body_json(json!({"message": message}));
            Mock::given(method("PUT")).respond_with(answer).mount(&server).await;
            let error = github.merge(7).await.unwrap_err().to_string();
            assert!(error.contains(message) && error.contains(&status.to_string()), "{error}");
        }
        let (server, github) = github().await;
        let answer = ResponseTemplate::new(403).set_body_json(json!({"message": "API rate limit exceeded"}));
        Mock::given(method("PUT")).respond_with(answer).mount(&server).await;
        let error = github.merge(7).await.unwrap_err().to_string();
        assert!(error.contains("wait an hour"), "{error}");
    }
}
