//! GitHub Apps that sign in: their installation, and the tokens that they get for it.

use anyhow::Result;
use axum::body::Bytes;
use axum::http::{Method, StatusCode};

use super::{Asked, refused};
use crate::emulator::Answer;
use crate::server::Inner;

/// The installation of the app that asks.
pub(super) async fn installation(asked: &Asked<'_>, inner: &Inner) -> Result<Answer> {
    let all = asked.ask(inner, &Method::GET, "/app/installations", Bytes::new()).await?;
    if !all.status.is_success() {
        return Ok(all);
    }
    Ok(match all.json().get(0) {
        Some(own) => Answer::of(StatusCode::OK, own),
        None => refused(StatusCode::NOT_FOUND, "Not Found"),
    })
}

/// A new token, which is known here from now on.
pub(super) async fn token(asked: &Asked<'_>, inner: &mut Inner) -> Result<Answer> {
    let answer = asked.forward(inner).await?;
    let mut made = answer.json();
    let Some(token) = made["token"].as_str().map(str::to_owned) else { return Ok(answer) };
    inner.jobs.insert(token, serde_json::from_value(made["permissions"].clone())?);
    for repository in made["repositories"].as_array_mut().into_iter().flatten() {
        let name = repository["full_name"].as_str().unwrap_or_default();
        repository["url"] = format!("{}/repos/{name}", asked.state.server).into();
    }
    Ok(Answer { body: made.to_string().into(), ..answer })
}
