//! git's smart HTTP: git's own `git http-backend` over CGI.
//!
//! As on GitHub, everybody may fetch from a public repository, and who pushes signs in with a token as the password.

use std::process::Stdio;

use anyhow::{Context, Result};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use tokio::io::AsyncWriteExt;

use crate::accounts::{Account, token_in};
use crate::repository::clean;
use crate::server::State;

/// Answers a request of git. After a push, emulate and the pull requests follow.
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
    // with `.git` or without, as GitHub takes it
    let mut parts = uri.path().trim_start_matches('/').splitn(3, '/');
    let (Some(owner), Some(name), Some(inside)) = (parts.next(), parts.next(), parts.next()) else {
        return Ok(status(StatusCode::NOT_FOUND));
    };
    let repository = format!("{owner}/{}", name.strip_suffix(".git").unwrap_or(name));
    let path = format!("/{repository}.git/{inside}");
    let query = uri.query().unwrap_or_default();
    let pushes = uri.path().ends_with("/git-receive-pack") || query.contains("service=git-receive-pack");
    let mut inner = state.inner.lock().await;
    let token = token_in(headers);
    inner.signed.push((token.clone(), format!("{method} {}", uri.path())));
    let account = Account::of(token.as_deref(), &inner.jobs);
    if account.is_none() || pushes && account == Some(Account::Nobody) {
        let challenge = Response::builder().status(StatusCode::UNAUTHORIZED);
        return Ok(challenge.header(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"").body(Body::empty())?);
    }
    let account = account.context("nobody was answered above")?;
    if pushes && !account.may_push(&repository) {
        return Ok(status(StatusCode::FORBIDDEN));
    }
    let answer = backend(state, method, &path, query, headers, body).await?;
    if pushes && *method == Method::POST {
        let by_job = matches!(account, Account::Job(_));
        state.after_push(&mut inner, &repository, by_job).await?;
    }
    Ok(answer)
}

async fn backend(
    state: &State,
    method: &Method,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<Body>> {
    let header = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut command = clean();
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &state.folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header(header::CONTENT_TYPE))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header(header::CONTENT_ENCODING))
        .env("GIT_PROTOCOL", header(header::HeaderName::from_static("git-protocol")))
        // who pushes was checked above
        .env("REMOTE_USER", "checked");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("its standard input is a pipe")?;
    let write = async move {
        // git closes it early when it has read enough
        let _ = input.write_all(&body).await;
    };
    let (done, ()) = tokio::join!(child.wait_with_output(), write);
    let output = Bytes::from(done?.stdout);
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").context("git http-backend gave no answer")?;
    let mut answer = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").context("a header has a name")?;
        answer = match name {
            "Status" => answer.status(value.split(' ').next().unwrap_or_default()),
            name => answer.header(name, value),
        };
    }
    Ok(answer.body(Body::from(output.slice(end + 4..)))?)
}

fn status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}
