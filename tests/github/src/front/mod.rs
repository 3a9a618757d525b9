//! What GitHub's API does and emulate 0.11.2 does not, by GitHub's documentation (<https://docs.github.com/en/rest>). Everything else passes
//! through as it is.
//!
//! | emulate | here |
//! |---|---|
//! | takes every token for its first user | 401 `Bad credentials` |
//! | `GET /user` names the owner of a job's repository | 403 for a job's token |
//! | a pull request's head stays where it was | it follows git ([`pulls`]) |
//! | opens a second pull request for a branch, one without commits, one of a branch that was never pushed | 422 |
//! | takes any length | titles of 256, texts of 65,536, summaries of 65,535 characters, 50 annotations ([`limits`]) |
//! | makes a commit with the head's tree, whatever the base has | the same merge as git makes it ([`merge`]) |
//! | answers every refused merge by 422 | 405, and 409 if the head has moved |
//! | lists of pull requests say whether one is merged | GitHub's do not |
//! | no pull requests of a commit | as git has them |
//! | anybody writes check runs, and an update replaces annotations | apps only, and it adds them ([`checks`]) |
//! | the author may review | 422 |
//! | anybody edits and removes any comment | its author does, and whoever may write to the repository ([`comments`]) |
//! | a comment's address is that of an issue | that of a pull request: there are no other issues here |
//! | its commits are its own | blobs, trees, commits, references and tags by the API are git's ([`git_data`]) |
//! | its commits have no files | those that a pull request changes are git's ([`files`]) |
//! | a draft is found by its tag, a release may have two files of one name, and forgets what was in them | GitHub's ([`releases`]) |
//! | an organization lacks fields that each account has | GitHub's |
//! | takes an app's signature whose time has not come, or that is valid for hours | 401, and each answer has the time ([`apps`]) |
//! | names any app's installation, and leaves out addresses of a token's repositories | that of the app that asks, with them ([`apps`]) |
//! | no GraphQL | the one query of this project ([`graphql`]) |
//!
//! Neither has statuses or deployments.

mod account;
mod apps;
mod checks;
mod comments;
mod files;
mod git_data;
mod graphql;
mod limits;
mod merge;
mod pulls;
mod releases;

use anyhow::{Context, Result};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use serde_json::{Value, json};

pub use pulls::open_with_head;

use crate::accounts::{Account, REPOSITORY, token_in};
use crate::emulator::Answer;
use crate::server::{Inner, State};

/// A request of the API.
#[derive(Debug)]
struct Asked<'a> {
    state: &'a State,
    method: &'a Method,
    /// Path and query below `/api/v3`.
    path: String,
    token: Option<String>,
    account: Account,
    body: Bytes,
}

/// Answers a request of the API.
///
/// # Errors
/// When git or emulate fails.
pub async fn answer(
    state: &State,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<Body>> {
    let path = uri.path_and_query().map_or("", |path| path.as_str()).trim_start_matches("/api/v3").to_owned();
    let token = token_in(headers);
    let mut inner = state.inner.lock().await;
    inner.asked.push(format!("{method} {path}"));
    inner.signed.push((token.clone(), format!("{method} {path}")));
    if state.is_shared {
        state.after_push(&mut inner, REPOSITORY, false).await?;
    }
    let now = apps::clock(inner.ahead);
    let answer = match Account::of(token.as_deref(), &inner.jobs) {
        None => refused(StatusCode::UNAUTHORIZED, "Bad credentials"),
        Some(Account::App) if !apps::is_of(now, token.as_deref().unwrap_or_default())? => {
            let message = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
            refused(StatusCode::UNAUTHORIZED, message)
        }
        Some(account) => {
            let asked = Asked { state, method, path, token, account, body };
            asked.answer(&mut inner).await?
        }
    };
    let answer = Answer { body: account::completed(&answer.body), ..answer };
    let api = format!("{}/api/v3", state.server);
    let html = format!("{}/{REPOSITORY}", state.server);
    let text = String::from_utf8_lossy(&answer.body)
        .replace(&format!("{}/repos/", state.server), &format!("{api}/repos/"))
        .replace(&format!("{html}/issues/"), &format!("{html}/pull/"));
    let date = httpdate::fmt_http_date(now);
    let mut response = Response::builder().status(answer.status);
    response = response.header(header::CONTENT_TYPE, "application/json").header(header::DATE, date);
    if let Some(link) = answer.link {
        response = response.header(header::LINK, link.replace(&state.emulator.url, &api));
    }
    Ok(response.body(text.into())?)
}

impl Asked<'_> {
    async fn answer(&self, inner: &mut Inner) -> Result<Answer> {
        let path = self.path.split('?').next().unwrap_or_default();
        let inside = path.strip_prefix(&format!("/repos/{REPOSITORY}/")).unwrap_or_default();
        let parts: Vec<&str> = inside.split('/').collect();
        if let Some(refused) = limits::refusal(self, &parts) {
            return Ok(refused);
        }
        match (self.method.as_str(), parts.as_slice()) {
            ("POST", _) if path == graphql::PATH => graphql::answer(self, inner).await,
            ("GET", _) if path == "/user" && matches!(self.account, Account::Job(_)) => {
                Ok(refused(StatusCode::FORBIDDEN, "Resource not accessible by integration"))
            }
            ("GET", ["installation"]) => apps::installation(self, inner).await,
            ("POST", _) if path.starts_with("/app/installations/") => apps::token(self, inner).await,
            ("POST", ["pulls"]) => pulls::open(self, inner).await,
            ("GET", ["pulls"]) => pulls::list(self, inner).await,
            ("GET" | "PATCH", ["pulls", _]) => pulls::one(self, inner).await,
            ("GET", ["pulls", number, "files"]) => files::list(self, inner, number).await,
            ("PUT", ["pulls", number, "merge"]) => merge::merge(self, inner, number).await,
            ("POST", ["pulls", number, "requested_reviewers"]) => pulls::request_reviewers(self, inner, number).await,
            ("GET", ["commits", commit, "pulls"]) => pulls::of_commit(self, inner, commit).await,
            ("PATCH" | "DELETE", ["issues", "comments", id]) => comments::change(self, inner, id).await,
            ("POST" | "PATCH" | "GET", ["check-runs", ..]) | ("GET", ["commits", _, "check-runs"]) => {
                checks::answer(self, inner, &parts).await
            }
            (_, ["git", kind @ ("blobs" | "trees" | "commits" | "refs"), rest @ ..]) => {
                git_data::answer(self, inner, &[&[*kind], rest].concat()).await
            }
            ("GET", ["git", "ref", "tags", tag]) => git_data::tag(self, tag).await,
            (_, ["releases", rest @ ..]) => releases::answer(self, inner, rest).await,
            _ => self.forward(inner).await,
        }
    }

    /// A parameter of the request's query, as it is written there.
    fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.path.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// emulate's answer to the request as it is.
    async fn forward(&self, inner: &Inner) -> Result<Answer> {
        self.forward_with(inner, self.body.clone()).await
    }

    /// emulate's answer to the request with another body.
    async fn forward_with(&self, inner: &Inner, body: Bytes) -> Result<Answer> {
        self.ask(inner, self.method, &self.path, body).await
    }

    /// emulate's answer to another request of the same account.
    async fn ask(&self, inner: &Inner, method: &Method, path: &str, body: Bytes) -> Result<Answer> {
        let body = String::from_utf8(body.to_vec()).context("a request is text")?;
        let (path, body) = (inner.ids.to_emulate(path), inner.ids.to_emulate(&body));
        let mut answer = self.state.emulator.ask(method, &path, self.token.as_deref(), body.into()).await?;
        answer.body = inner.ids.from_emulate(&String::from_utf8_lossy(&answer.body)).into();
        Ok(answer)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A refusal with a message.
fn refused(status: StatusCode, message: &str) -> Answer {
    Answer::of(status, &json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }))
}

/// What GitHub says to a request with a value that is not valid.
fn invalid(error: &Value) -> Answer {
    let body = json!({ "message": "Validation Failed", "errors": [error], "documentation_url": "https://docs.github.com/rest" });
    Answer::of(StatusCode::UNPROCESSABLE_ENTITY, &body)
}
