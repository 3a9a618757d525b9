//! Check runs: apps alone write them, and the annotations of an update come to those that are there.

use anyhow::Result;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Asked, refused};
use crate::accounts::Account;
use crate::emulator::Answer;
use crate::server::Inner;

/// Answers a request about check runs.
pub(super) async fn answer(asked: &Asked<'_>, inner: &mut Inner, parts: &[&str]) -> Result<Answer> {
    if asked.method != Method::GET && !matches!(asked.account, Account::Job(_)) {
        return Ok(refused(StatusCode::FORBIDDEN, "You must authenticate via a GitHub App."));
    }
    let known = parts.get(1).and_then(|id| id.parse::<u64>().ok());
    if let (Some(id), Some(&"annotations")) = (known, parts.get(2)) {
        let answer = asked.forward(inner).await?;
        let all = inner.annotations.get(&id).cloned().unwrap_or_default();
        return Ok(if answer.status.is_success() {
            Answer { body: json!(all).to_string().into(), ..answer }
        } else {
            answer
        });
    }
    let mut body = asked.json();
    let added = body["output"]["annotations"].as_array().cloned().unwrap_or_default();
    let earlier = known.and_then(|id| inner.annotations.get(&id).cloned()).unwrap_or_default();
    let all: Vec<Value> = earlier.into_iter().chain(added).collect();
    let answer = if body["output"].is_object() {
        body["output"]["annotations"] = all.clone().into();
        asked.forward_with(inner, body.to_string().into()).await?
    } else {
        asked.forward(inner).await?
    };
    let mut run = answer.json();
    if !answer.status.is_success() {
        return Ok(answer);
    }
    if let Some(id) = run["id"].as_u64().filter(|_| body["output"].is_object()) {
        inner.annotations.insert(id, all);
    }
    let app = json!({ "id": 15368, "slug": "github-actions", "name": "GitHub Actions" });
    match run["check_runs"].as_array_mut() {
        Some(runs) => runs.iter_mut().for_each(|run| run["app"] = app.clone()),
        None => run["app"] = app,
    }
    Ok(Answer { body: run.to_string().into(), ..answer })
}
