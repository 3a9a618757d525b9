//! The files that a pull request changes.

use anyhow::Result;
use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};

use super::{Asked, pulls};
use crate::accounts::REPOSITORY;
use crate::emulator::Answer;
use crate::repository::Bare;
use crate::server::Inner;

/// A page of them.
pub(super) async fn list(asked: &Asked<'_>, inner: &Inner, number: &str) -> Result<Answer> {
    let answer = asked.forward(inner).await?;
    if !answer.status.is_success() {
        return Ok(answer);
    }
    let path = format!("/repos/{REPOSITORY}/pulls/{number}");
    let mut pull = asked.ask(inner, &Method::GET, &path, Bytes::new()).await?.json();
    pulls::correct(asked.state, inner, &mut pull).await?;
    let number =
        |name: &str, otherwise: usize| asked.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (page, size) = (number("page", 1), number("per_page", 30));
    let changed = changed(&asked.state.bare(REPOSITORY), &pull).await?;
    let files: Vec<Value> =
        changed.iter().skip((page - 1) * size).take(size).map(|path| json!({ "filename": path })).collect();
    Ok(Answer { link: None, body: json!(files).to_string().into(), ..answer })
}

/// Their paths. One without a common history has all of its files.
pub(super) async fn changed(bare: &Bare, pull: &Value) -> Result<Vec<String>> {
    let end = |side: &str| pull[side]["sha"].as_str().unwrap_or_default();
    let between = format!("{}...{}", end("base"), end("head"));
    let listing = match bare.git(&["diff", "--name-only", "-z", &between]).await {
        Ok(listing) => listing,
        Err(_) => bare.git(&["ls-tree", "-r", "--name-only", "-z", end("head")]).await?,
    };
    Ok(listing.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}
